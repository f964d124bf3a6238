"""What can go wrong with tokens and keys; none of it says on the wire which check failed."""

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.jwt.claims import Claims


class Refusal(StrEnum):
    """Why a token was refused: a label for logs and metrics, never part of an answer."""

    SIZE = "size"
    ENCODING = "encoding"
    HEADER = "header"
    KEY = "key"
    ALGORITHM = "algorithm"
    SIGNATURE = "signature"
    PAYLOAD = "payload"
    CLAIM = "claim"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    TYPE = "type"
    TIME = "time"
    LIFETIME = "lifetime"
    EXPIRED = "expired"
    REVOKED = "revoked"
    UNEXPECTED = "unexpected"


class TokenInvalid(Exception):
    """The text is not a valid access token; `reason` is for logs and metrics."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__("The access token is not valid.")
        self.reason = reason


class TokenExpired(TokenInvalid):
    """The token was valid until its `exp` and the leeway passed."""

    def __init__(self) -> None:
        super().__init__(Refusal.EXPIRED)


class TokenRevoked(TokenInvalid):
    """The token would be valid, but its session was ended; `claims` is what it says, for who ends it once more."""

    def __init__(self, claims: "Claims") -> None:
        super().__init__(Refusal.REVOKED)
        self.claims = claims


class KeyPolicyError(ValueError):
    """A key, or a set of keys, that must not be used; the message says why."""
