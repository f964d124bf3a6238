"""What attackers send for an access token, made out of a genuine one; the names are those of the attack list."""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from common.ids import new_id
from common.jwt import SigningKey
from common.jwt.encoding import decode_base64url, encode_base64url

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Forger:
    """Takes a genuine token apart and puts together others, signed with the genuine key unless the name denies it.

    `header` and `claims` are what to change in the genuine ones: None leaves a member out, bytes replace the whole.
    """

    def __init__(self, token: str, key: SigningKey) -> None:
        self.token = token
        self.key = key
        header, payload, _ = token.split(".")
        self.header: dict[str, Any] = json.loads(decode_base64url(header))
        self.claims: dict[str, Any] = json.loads(decode_base64url(payload))

    def sign(self, header: dict[str, Any] | bytes = b"", claims: dict[str, Any] | bytes = b"") -> str:
        """A token whose signature is right for whatever it says."""
        signing_input = self.signing_input(header, claims)
        return f"{signing_input}.{encode_base64url(self.key.sign(signing_input.encode()))}"

    def signing_input(self, header: dict[str, Any] | bytes = b"", claims: dict[str, Any] | bytes = b"") -> str:
        return ".".join(_segment(*parts) for parts in ((self.header, header), (self.claims, claims)))

    def with_signature(self, signature: bytes) -> str:
        return f"{self.signing_input()}.{encode_base64url(signature)}"

    def hs256(self, secret: bytes) -> str:
        signing_input = self.signing_input({"alg": "HS256"})
        return f"{signing_input}.{encode_base64url(hmac.digest(secret, signing_input.encode(), hashlib.sha256))}"

    def public_key(self, encoding: Encoding) -> bytes:
        return self.key.verifying_key.public_key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)

    def edited(self) -> str:
        header, _, signature = self.token.split(".")
        return f"{header}.{_segment(self.claims, {'sub': str(new_id())})}.{signature}"

    def by_a_stranger(self, **header: Any) -> str:
        """A token signed with a key of the attacker's own."""
        return Forger(self.token, SigningKey.of(ec.generate_private_key(ec.SECP256R1()))).sign(header)

    def at(self, name: str, offset: int) -> dict[str, int]:
        """A time of the claims, so many seconds after the token was issued."""
        return {name: self.claims["iat"] + offset}

    def written_twice(self, name: str) -> bytes:
        members = self.header if name in self.header else self.claims
        return f"{json.dumps(members)[:-1]}, {json.dumps(name)}: {json.dumps(members[name])}}}".encode()


def _segment(members: dict[str, Any], changes: dict[str, Any] | bytes) -> str:
    if isinstance(changes, bytes) and changes:
        return encode_base64url(changes)
    changed = {name: value for name, value in (members | dict(changes or {})).items() if value is not None}
    return encode_base64url(json.dumps(changed).encode())


def _edge(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


FORGERIES: Mapping[str, Callable[[Forger], str]] = {
    "A1 alg none": lambda forger: forger.signing_input({"alg": "none"}) + ".",
    "A1 alg nOnE": lambda forger: forger.signing_input({"alg": "nOnE"}) + ".",
    "A1 alg empty": lambda forger: forger.signing_input({"alg": ""}) + ".",
    "A2 alg none with the old signature": lambda forger: (
        forger.signing_input({"alg": "none"}) + "." + forger.token.split(".")[2]
    ),
    "A3 no alg": lambda forger: forger.sign({"alg": None}),
    "A4 alg a list": lambda forger: forger.sign({"alg": ["ES256"]}),
    "A4 alg an object": lambda forger: forger.sign({"alg": {"ES256": 1}}),
    "A4 alg a number": lambda forger: forger.sign({"alg": 256}),
    "A4 alg true": lambda forger: forger.sign({"alg": True}),
    "A5 HS256 over the public key": lambda forger: forger.hs256(forger.public_key(Encoding.PEM)),
    "A6 HS256 over its DER": lambda forger: forger.hs256(forger.public_key(Encoding.DER)),
    "A6 HS256 over its JWK": lambda forger: forger.hs256(json.dumps(forger.key.verifying_key.jwk()).encode()),
    "A7 HS256 over nothing": lambda forger: forger.hs256(b""),
    "A8 alg RS256": lambda forger: forger.sign({"alg": "RS256"}),
    "A8 alg ES384": lambda forger: forger.sign({"alg": "ES384"}),
    "A9 no signature": lambda forger: forger.token.rpartition(".")[0],
    "A9 no signature but its dot": lambda forger: forger.token.rpartition(".")[0] + ".",
    "A10 zeros for a signature": lambda forger: forger.with_signature(bytes(64)),
    "A10 s is n": lambda forger: forger.with_signature(_edge(1, _P256_ORDER)),
    "A12 a foreign key": Forger.by_a_stranger,
    "A13 edited payload": Forger.edited,
    "A14 padding": lambda forger: forger.token + "==",
    "A15 unused bits": lambda forger: forger.token[:-1] + chr(ord(forger.token[-1]) + 1),
    "A17 no kid": lambda forger: forger.sign({"kid": None}),
    "A18 unknown kid": lambda forger: forger.by_a_stranger(kid="A" * 43),
    "A19 kid a number": lambda forger: forger.sign({"kid": 1}),
    "A20 kid a path": lambda forger: forger.sign({"kid": "../../dev/null"}),
    "A20 kid with NUL": lambda forger: forger.sign({"kid": "A" * 42 + "\0"}),
    "A21 jwk": lambda forger: forger.sign({"jwk": forger.key.verifying_key.jwk()}),
    "A22 jku": lambda forger: forger.by_a_stranger(jku="http://127.0.0.1:9/jwks.json"),
    "A22 x5u": lambda forger: forger.by_a_stranger(x5u="http://127.0.0.1:9/chain.pem"),
    "A23 x5c": lambda forger: forger.by_a_stranger(x5c=["MIIB"]),
    "A24 jku, rightly signed": lambda forger: forger.sign({"jku": "http://127.0.0.1:9/jwks.json"}),
    "A28 crit": lambda forger: forger.sign({"crit": ["exp"], "exp": 1}),
    "A29 crit b64": lambda forger: forger.sign({"crit": ["b64"], "b64": True}),
    "A30 b64 false": lambda forger: forger.sign({"b64": False}),
    "A31 wrong typ": lambda forger: forger.sign({"typ": "JWT"}),
    "A31 typ of a refresh token": lambda forger: forger.sign({"typ": "rt+jwt"}),
    "A31 no typ": lambda forger: forger.sign({"typ": None}),
    "A33 alg twice": lambda forger: forger.sign(forger.written_twice("alg")),
    "A34 zip": lambda forger: forger.sign({"zip": "DEF"}),
    "A34 five segments": lambda _: "eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn",
    **{f"A36 no {name}": lambda forger, name=name: forger.sign(claims={name: None})  # type: ignore[misc] # the default binds
       for name in ("iss", "aud", "exp", "iat", "sub", "jti", "client_id")},
    "A37 empty sub": lambda forger: forger.sign(claims={"sub": ""}),
    "A37 aud an object": lambda forger: forger.sign(claims={"aud": {}}),
    "A38 wrong iss": lambda forger: forger.sign(claims={"iss": "https://evil.example"}),
    "A38 iss with a slash": lambda forger: forger.sign(claims={"iss": forger.claims["iss"] + "/"}),
    "A38 iss a list": lambda forger: forger.sign(claims={"iss": [forger.claims["iss"]]}),
    "A39 wrong aud": lambda forger: forger.sign(claims={"aud": "nobody"}),
    "A39 no aud in the list": lambda forger: forger.sign(claims={"aud": []}),
    "A40 every aud": lambda forger: forger.sign(claims={"aud": ["api", "auth", "worker"]}),
    "A41 aud worker": lambda forger: forger.sign(claims={"aud": "worker"}),
    "A43 sub with NUL": lambda forger: forger.sign(claims={"sub": forger.claims["sub"] + "\0"}),
    "A43 sub a lone surrogate": lambda forger: forger.sign(claims={"sub": "\ud800"}),
    "A43 sub a number": lambda forger: forger.sign(claims={"sub": 7}),
    "A44 scope a list": lambda forger: forger.sign(claims={"scope": ["contacts:read"]}),
    "A45 sub twice": lambda forger: forger.sign(claims=forger.written_twice("sub")),
    "A46 expired": lambda forger: forger.sign(claims={**forger.at("iat", -700), **forger.at("exp", -100)}),
    "A47 not yet": lambda forger: forger.sign(claims=forger.at("nbf", 100)),
    "A48 from the future": lambda forger: forger.sign(claims={**forger.at("iat", 100), **forger.at("exp", 200)}),
    "A49 ten years": lambda forger: forger.sign(claims=forger.at("exp", 315_360_000)),
    "A50 expired before it was issued": lambda forger: forger.sign(claims=forger.at("exp", -10)),
    "A51 exp a text": lambda forger: forger.sign(claims={"exp": str(forger.claims["exp"])}),
    "A51 exp true": lambda forger: forger.sign(claims={"exp": True}),
    "A52 exp infinite": lambda forger: forger.sign(claims={"exp": float("inf")}),
    "A52 exp 1e400": lambda forger: forger.sign(
        claims=json.dumps(forger.claims | {"exp": 0}).replace('"exp": 0', '"exp": 1e400').encode()
    ),
    "A54 UTF-16": lambda forger: forger.sign(claims=json.dumps(forger.claims).encode("utf-16")),
    "A55 a byte order mark": lambda forger: forger.sign(claims=json.dumps(forger.claims).encode("utf-8-sig")),
    "A56 no UTF-8": lambda forger: forger.sign(claims=b'{"sub": "\xff"}'),
    "A57 a list": lambda forger: forger.sign(claims=b"[]"),
    "A58 nesting": lambda forger: forger.sign(claims=b'{"x":' + b"[" * 1400 + b"]" * 1400 + b"}"),
    "A59 too long": lambda forger: forger.token + "A" * 5000,
    "A60 the other alphabet": lambda forger: forger.token + "+/",
    "A61 a space inside": lambda forger: forger.token.replace(".", ". ", 1),
    "A62 a foreign letter": lambda forger: "\u00e9" + forger.token[1:],
    "A63 no token at all": lambda _: "",
    "A63 two segments": lambda _: "a.b",
    "A63 four segments": lambda forger: forger.token + ".AAAA",
    "A63 bearer bearer": lambda forger: f"Bearer {forger.token}",
    "A64 a refresh token": lambda forger: f"rt1.1.{forger.claims.get('sid', new_id())}.1.{'A' * 43}",
    "A66 a one-time token": lambda _: encode_base64url(bytes(range(32))),
    "garbage": lambda _: "!!!",
}  # fmt: skip
"""Texts that no service takes. What no header can carry (NUL, line ends, other alphabets) is tried without HTTP."""
