"""Revoked sessions as a test says they are."""

from collections.abc import Collection
from uuid import UUID


class RevocationsByHand:
    """A `Revocations` that knows what was added to it, and is fresh unless told otherwise."""

    def __init__(self) -> None:
        self.revoked: set[UUID] = set()
        self.fresh = True

    def add(self, session_ids: Collection[UUID]) -> None:
        """Know that these sessions were revoked."""
        self.revoked.update(session_ids)

    def is_revoked(self, sid: UUID) -> bool:
        return sid in self.revoked

    def is_fresh(self) -> bool:
        return self.fresh
