"""Access tokens: issued and verified here and nowhere else (RFC 7519, 8725, 9068), with the keys behind them."""

from common.jwt.claims import Claims
from common.jwt.errors import KeyFileError, KeyPolicyError, Refusal, TokenExpired, TokenInvalid, TokenRevoked
from common.jwt.issuer import TokenIssuer
from common.jwt.jwks import jwks_document
from common.jwt.jwks_cache import JWKSCache
from common.jwt.key_files import generate_signing_key, load_signing_key
from common.jwt.keys import ES256, RS256, SigningKey, VerifyingKey, thumbprint
from common.jwt.sources import KeySource, StaticKeys
from common.jwt.verifier import LEEWAY_SECONDS, MAX_LIFETIME_SECONDS, TokenVerifier, verify_access_token

__all__ = [
    "ES256",
    "LEEWAY_SECONDS",
    "MAX_LIFETIME_SECONDS",
    "RS256",
    "Claims",
    "JWKSCache",
    "KeyFileError",
    "KeyPolicyError",
    "KeySource",
    "Refusal",
    "SigningKey",
    "StaticKeys",
    "TokenExpired",
    "TokenInvalid",
    "TokenIssuer",
    "TokenRevoked",
    "TokenVerifier",
    "VerifyingKey",
    "generate_signing_key",
    "jwks_document",
    "load_signing_key",
    "thumbprint",
    "verify_access_token",
]
