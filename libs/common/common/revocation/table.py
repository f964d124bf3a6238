"""The revoked sessions one process knows. Reading takes no lock; writers take turns."""

from collections.abc import Mapping
from threading import Lock
from uuid import UUID


class RevocationTable:
    """Session ids with the second from which on they need not be remembered, and which of them the stream holds."""

    def __init__(self) -> None:
        self._expiries: dict[UUID, int] = {}
        self.sessions: Mapping[UUID, int] = self._expiries
        """The table to look up in, always this one object: a call less for each request."""
        self._in_stream: set[UUID] = set()
        self.forget_locks()

    def forget_locks(self) -> None:
        """In a forked child: a lock may be held by a thread that only the parent has."""
        self._lock = Lock()

    def add(self, expiries: Mapping[UUID, int], *, in_stream: bool) -> None:
        """Know these sessions; of two expiries the later one counts."""
        with self._lock:
            for sid, expires_at in expiries.items():
                self._expiries[sid] = max(expires_at, self._expiries.get(sid, 0))
            if in_stream:
                self._in_stream.update(expiries)

    def absent_from_stream(self, expiries: Mapping[UUID, int]) -> dict[UUID, int]:
        """Return those of these sessions that the stream has not told."""
        return {sid: expires_at for sid, expires_at in expiries.items() if sid not in self._in_stream}

    def forget_stream(self) -> None:
        """The stream holds nothing for certain any more; the sessions stay revoked."""
        with self._lock:
            self._in_stream = set()

    def purge(self, now: float) -> None:
        """Forget the sessions none of whose tokens can be valid any more."""
        with self._lock:
            expired = [sid for sid, expires_at in self._expiries.items() if expires_at <= now]
            for sid in expired:
                del self._expiries[sid]
            self._in_stream.difference_update(expired)
