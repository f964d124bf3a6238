"""The published set of keys (RFC 7517): written without private members, read under the key policy."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from common.jwt.encoding import decode_base64url, parse_json_object
from common.jwt.errors import KeyPolicyError
from common.jwt.keys import THUMBPRINT_MEMBERS, SigningKey, VerifyingKey

MAX_KEYS = 16
MAX_DOCUMENT_BYTES = 64 * 1024
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

KeyMap: TypeAlias = Mapping[str, VerifyingKey]


def jwks_document(keys: Iterable[SigningKey | VerifyingKey]) -> dict[str, list[dict[str, str]]]:
    """The set to publish at `jwks_uri`; raises KeyPolicyError should a private member ever be in it."""
    jwks = [_verifying_key(key).jwk() for key in keys]
    if any(PRIVATE_MEMBERS & jwk.keys() for jwk in jwks):
        raise KeyPolicyError("a private member is about to be published")
    return {"keys": jwks}


def parse_jwks(document: bytes) -> KeyMap:
    """Return the keys of a published set by `kid`.

    One key against the policy refuses the whole set: an issuer that publishes such a key is
    misconfigured or not ours. Raises KeyPolicyError, whatever is wrong with the document.
    """
    try:
        return _parse_jwks(document)
    except (ValueError, RecursionError) as error:
        raise KeyPolicyError(str(error)) from error


def parse_jwk(jwk: object) -> VerifyingKey:
    """Return the key of one JWK; raises KeyPolicyError if the policy refuses it."""
    members = _check_declaration(jwk)
    key = _load_public_key(members)
    # Equality with our own writing of the same key covers alg, kid and every non-canonical spelling.
    if any(members.get(name) != value for name, value in key.jwk().items()):
        raise KeyPolicyError("alg, kid or key material are not what the key itself says")
    return key


def _parse_jwks(document: bytes) -> KeyMap:
    if len(document) > MAX_DOCUMENT_BYTES:
        raise KeyPolicyError(f"the document is larger than {MAX_DOCUMENT_BYTES} bytes")
    entries = parse_json_object(document).get("keys")
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_KEYS:
        raise KeyPolicyError(f"a set holds 1 to {MAX_KEYS} keys")
    keys = {key.kid: key for key in map(parse_jwk, entries)}
    if len(keys) != len(entries):
        raise KeyPolicyError("two keys share a kid")
    return MappingProxyType(keys)


def _check_declaration(jwk: object) -> dict[str, str]:
    if not isinstance(jwk, dict):
        raise KeyPolicyError("a key is a JSON object")
    if PRIVATE_MEMBERS & jwk.keys():
        raise KeyPolicyError("a published key holds a private or symmetric member")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise KeyPolicyError("key_ops does not hold verify")
    if jwk.get("kty") not in ("EC", "RSA"):
        raise KeyPolicyError("the key type is EC or RSA")
    return {name: value for name, value in jwk.items() if isinstance(value, str)}


def _load_public_key(members: Mapping[str, str]) -> VerifyingKey:
    missing = [name for name in THUMBPRINT_MEMBERS[members["kty"]] if name not in members]
    if missing:
        raise KeyPolicyError(f"the key lacks {', '.join(missing)}")
    return VerifyingKey.of(_LOADERS[members["kty"]](members))


def _load_ec(members: Mapping[str, str]) -> object:
    point = EllipticCurvePublicNumbers(_integer(members["x"]), _integer(members["y"]), SECP256R1())
    return point.public_key()


def _load_rsa(members: Mapping[str, str]) -> object:
    return RSAPublicNumbers(_integer(members["e"]), _integer(members["n"])).public_key()


_LOADERS: Mapping[str, Callable[[Mapping[str, str]], object]] = {"EC": _load_ec, "RSA": _load_rsa}


def _integer(text: str) -> int:
    return int.from_bytes(decode_base64url(text), "big")


def _verifying_key(key: SigningKey | VerifyingKey) -> VerifyingKey:
    return key.verifying_key if isinstance(key, SigningKey) else key
