"""Who asks, as an access token has proven it."""

from dataclasses import dataclass
from uuid import UUID

from common.access import Principal


@dataclass(frozen=True)
class Caller:
    """A user, the client they use, and the session and the token (`jti`) of the request."""

    user_id: UUID
    client_id: str
    session_id: UUID | None
    jti: str

    @classmethod
    def of(cls, principal: Principal) -> "Caller":
        """Return the caller a checked token stands for."""
        return cls(principal.user_id, principal.client_id, principal.session_id, principal.claims.jti)
