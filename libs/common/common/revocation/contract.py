"""What the guard and the verifier ask about revoked sessions."""

from typing import Protocol
from uuid import UUID


class Revocations(Protocol):
    """Knows which sessions were revoked, and whether what it knows is recent."""

    def is_revoked(self, sid: UUID) -> bool:
        """Whether the session was revoked, as far as is known; asked at every request, so it costs a look-up."""

    def is_fresh(self) -> bool:
        """Whether every session revoked up to a moment ago is known."""
