"""Key objects bound to exactly one algorithm, and the policy a key has to meet to become one."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from jwt.algorithms import Algorithm, ECAlgorithm, RSAAlgorithm

from common.jwt.encoding import encode_base64url
from common.jwt.errors import KeyPolicyError
from common.jwt.roca import has_roca_shape

PublicKey: TypeAlias = EllipticCurvePublicKey | RSAPublicKey
PrivateKey: TypeAlias = EllipticCurvePrivateKey | RSAPrivateKey

ES256 = "ES256"
RS256 = "RS256"
# One object each, held for the life of the process: making it per call costs more than parsing the token.
_ALGORITHMS: Mapping[str, Algorithm] = {
    ES256: ECAlgorithm(ECAlgorithm.SHA256, SECP256R1),
    RS256: RSAAlgorithm(RSAAlgorithm.SHA256),
}
_ECDSA_SHA256 = ECDSA(SHA256())  # parameters without state
_COORDINATE_BYTES = 32  # of P-256, and of r and s
RSA_MIN_BITS = 2048  # NIST SP 800-131A
RSA_MAX_BITS = 8192  # beyond it a verification costs milliseconds
RSA_MIN_EXPONENT = 65537


@dataclass(frozen=True)
class VerifyingKey:
    """A public key for one algorithm; equal when `kid` (the thumbprint of the material) and `alg` are."""

    kid: str
    alg: str
    public_key: PublicKey = field(repr=False, compare=False)

    @classmethod
    def of(cls, public_key: object) -> "VerifyingKey":
        """Bind a cryptography public key to its algorithm; raises KeyPolicyError if the policy refuses it."""
        checked = _check_public_key(public_key)
        return cls(kid=thumbprint(public_members(checked)), alg=_algorithm_of(checked), public_key=checked)

    def accepts(self, message: bytes, signature: bytes) -> bool:
        """Whether the key has signed the message, in the one form a signature has (RFC 7518 section 3)."""
        if isinstance(self.public_key, EllipticCurvePublicKey):
            return _verify_es256(self.public_key, message, signature)
        return _ALGORITHMS[self.alg].verify(message, self.public_key, signature)

    def jwk(self) -> dict[str, str]:
        """The key as published (RFC 7517): public members, `alg`, `use` and `kid`."""
        return {**public_members(self.public_key), "alg": self.alg, "use": "sig", "kid": self.kid}


@dataclass(frozen=True)
class SigningKey:
    """A private key and the public half that verifies what it signs."""

    verifying_key: VerifyingKey
    private_key: PrivateKey = field(repr=False, compare=False)

    @classmethod
    def of(cls, private_key: object) -> "SigningKey":
        """Bind a cryptography private key to its algorithm.

        Raises KeyPolicyError if the policy refuses it or a trial signature does not verify.
        """
        if not isinstance(private_key, EllipticCurvePrivateKey | RSAPrivateKey):
            raise KeyPolicyError("a signing key is an EC P-256 or an RSA private key")
        key = cls(VerifyingKey.of(private_key.public_key()), private_key)
        if not key.verifying_key.accepts(b"self-test", key.sign(b"self-test")):
            raise KeyPolicyError("the private key does not match its public half")
        return key

    @property
    def kid(self) -> str:
        return self.verifying_key.kid

    @property
    def alg(self) -> str:
        return self.verifying_key.alg

    def sign(self, message: bytes) -> bytes:
        return _ALGORITHMS[self.alg].sign(message, self.private_key)


def public_members(public_key: PublicKey) -> dict[str, str]:
    """The members of the JWK that are the key itself (RFC 7518 section 6), in canonical form."""
    if isinstance(public_key, EllipticCurvePublicKey):
        point = public_key.public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": _encode_coordinate(point.x), "y": _encode_coordinate(point.y)}
    numbers = public_key.public_numbers()
    return {"kty": "RSA", "n": _encode_integer(numbers.n), "e": _encode_integer(numbers.e)}


THUMBPRINT_MEMBERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}
)


def thumbprint(jwk: Mapping[str, str]) -> str:
    """The SHA-256 thumbprint of a public JWK (RFC 7638), 43 characters; other members do not count.

    Raises KeyError when a member is missing or the key type is unknown.
    """
    required = {name: jwk[name] for name in THUMBPRINT_MEMBERS[jwk["kty"]]}
    return encode_base64url(hashlib.sha256(orjson.dumps(required)).digest())


def _check_public_key(public_key: object) -> PublicKey:
    if isinstance(public_key, EllipticCurvePublicKey):
        if not isinstance(public_key.curve, SECP256R1):
            raise KeyPolicyError(f"curve {public_key.curve.name} has no place here, use P-256")
        return public_key
    if isinstance(public_key, RSAPublicKey):
        return _check_rsa_key(public_key)
    raise KeyPolicyError("a verifying key is an EC P-256 or an RSA public key")


def _check_rsa_key(public_key: RSAPublicKey) -> RSAPublicKey:
    numbers = public_key.public_numbers()
    if not RSA_MIN_BITS <= public_key.key_size <= RSA_MAX_BITS:
        raise KeyPolicyError(f"an RSA key has {RSA_MIN_BITS} to {RSA_MAX_BITS} bits, this one {public_key.key_size}")
    if numbers.e < RSA_MIN_EXPONENT or numbers.e % 2 == 0:
        raise KeyPolicyError(f"an RSA exponent is odd and at least {RSA_MIN_EXPONENT}")
    if has_roca_shape(numbers.n):
        raise KeyPolicyError("the RSA modulus comes from a faulty generator (ROCA)")
    return public_key


def _verify_es256(public_key: EllipticCurvePublicKey, message: bytes, signature: bytes) -> bool:
    """Verify r and s of 32 bytes each (RFC 7518 section 3.4).

    As PyJWT does, which makes new objects and texts of the numbers on the way: a twelfth of the whole cost.
    """
    if len(signature) != 2 * _COORDINATE_BYTES:
        return False
    r, s = (int.from_bytes(half) for half in (signature[:_COORDINATE_BYTES], signature[_COORDINATE_BYTES:]))
    try:
        public_key.verify(encode_dss_signature(r, s), message, _ECDSA_SHA256)
    except InvalidSignature:
        return False
    return True


def _algorithm_of(public_key: PublicKey) -> str:
    return ES256 if isinstance(public_key, EllipticCurvePublicKey) else RS256


def _encode_coordinate(value: int) -> str:
    return encode_base64url(value.to_bytes(_COORDINATE_BYTES, "big"))


def _encode_integer(value: int) -> str:
    return encode_base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))
