"""Access tokens: issued and verified here and nowhere else (RFC 7519, 8725, 9068), with the keys behind them."""

from common.jwt.claims import Claims
from common.jwt.errors import KeyPolicyError, Refusal, TokenExpired, TokenInvalid, TokenRevoked
from common.jwt.issuer import TokenIssuer
from common.jwt.jwks import jwks_document
from common.jwt.jwks_cache import JWKSCache
from common.jwt.keys import ES256, RS256, SigningKey, VerifyingKey, thumbprint
from common.jwt.sources import KeySource, SigningKeySource, StaticKeys, StaticSigningKey
from common.jwt.verifier import LEEWAY_SECONDS, MAX_LIFETIME_SECONDS, TokenVerifier, verify_access_token

__all__ = [
    "ES256",
    "LEEWAY_SECONDS",
    "MAX_LIFETIME_SECONDS",
    "RS256",
    "Claims",
    "JWKSCache",
    "KeyPolicyError",
    "KeySource",
    "Refusal",
    "SigningKey",
    "SigningKeySource",
    "StaticKeys",
    "StaticSigningKey",
    "TokenExpired",
    "TokenInvalid",
    "TokenIssuer",
    "TokenRevoked",
    "TokenVerifier",
    "VerifyingKey",
    "jwks_document",
    "thumbprint",
    "verify_access_token",
]
