"""Revoked sessions as a test says they are."""

from common.revocation import RevokedSessions


class RevocationsByHand(RevokedSessions):
    """Knows the sessions that were added to it, and is fresh as long as `fresh` says so."""

    def __init__(self) -> None:
        super().__init__(None)
        self.fresh = True

    def is_fresh(self) -> bool:
        return self.fresh
