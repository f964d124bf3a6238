// Verifies an access token with nothing but the address of the issuer's metadata, as a service in another language would.
//
//   node verify.mjs METADATA_URL AUDIENCE <token
//
// Prints the token's alg and kid as JSON. Fails unless the token is accepted and spoilt or misdirected ones are refused.
import assert from "node:assert/strict";
import { text } from "node:stream/consumers";
import { createRemoteJWKSet, jwtVerify } from "jose";

const [metadataUrl, audience] = process.argv.slice(2);
const token = (await text(process.stdin)).trim();

const metadata = await (await fetch(metadataUrl)).json();
assert.ok(metadataUrl.startsWith(`${metadata.issuer}/`), "the metadata is about another issuer (RFC 8414 section 3.3)");
const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));
const expected = { issuer: metadata.issuer, audience, typ: "at+jwt", requiredClaims: ["exp", "iat", "sub", "jti", "client_id"] };

const verify = (candidate, changes = {}) => jwtVerify(candidate, keys, { ...expected, ...changes });

const { payload, protectedHeader } = await verify(token);
assert.equal(payload.iss, metadata.issuer);

const refused = [
  ["a changed payload", () => verify(withOtherPayload(token)), "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"],
  ["a changed signature", () => verify(withOtherSignature(token)), "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"],
  ["another audience", () => verify(token, { audience: "elsewhere" }), "ERR_JWT_CLAIM_VALIDATION_FAILED"],
  ["another issuer", () => verify(token, { issuer: "https://elsewhere.example" }), "ERR_JWT_CLAIM_VALIDATION_FAILED"],
  ["another type", () => verify(token, { typ: "JWT" }), "ERR_JWT_CLAIM_VALIDATION_FAILED"],
  ["a time after its end", () => verify(token, { currentDate: new Date((payload.exp + 1) * 1000) }), "ERR_JWT_EXPIRED"],
];
for (const [what, attempt, code] of refused) {
  await assert.rejects(attempt, { code }, what);
}
console.log(JSON.stringify({ alg: protectedHeader.alg, kid: protectedHeader.kid, refused: refused.length }));

function withOtherPayload(jws) {
  const [header, body, signature] = jws.split(".");
  const claims = JSON.parse(Buffer.from(body, "base64url").toString());
  const changed = Buffer.from(JSON.stringify({ ...claims, sub: "somebody else" })).toString("base64url");
  return [header, changed, signature].join(".");
}

function withOtherSignature(jws) {
  const [header, body, signature] = jws.split(".");
  const bytes = Buffer.from(signature, "base64url");
  bytes[10] ^= 1;
  return [header, body, bytes.toString("base64url")].join(".");
}
