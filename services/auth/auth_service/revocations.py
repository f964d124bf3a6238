"""Keeps the revocation stream true to the database, which is the one that remembers.

What was revoked and did not get into the stream is published again: because publishing failed, because the process died
between commit and publishing, or because the stream lost its data. (So a row has to stay for WINDOW_SECONDS after its
`revoked_at`, whoever clears old sessions away.)
"""

import random
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

import structlog
from common.background import BackgroundLoop
from common.clock import Clock
from common.db import Database
from common.revocation import WINDOW_SECONDS, RevocationPublisher, RevokedSessions
from sqlalchemy import bindparam, select
from sqlalchemy.exc import SQLAlchemyError

from auth_service.models import Session

# What was not published has to be known within five seconds: the longest pause and the question after it fit in them.
RECONCILE_SECONDS = 4.0
JITTER = 0.2  # of the pause, so that processes do not ask in step
# A commit comes after its revoked_at by what a transaction may take, and the clocks of replicas differ.
OVERLAP = timedelta(seconds=120)
WINDOW = timedelta(seconds=WINDOW_SECONDS)
# After a loss of data every process has everything to publish: from this many on, one does it for all.
MANY = 100
BATCH = 250

# Answered by the index on revoked_at alone, which holds the primary key too.
_FIND_REVOKED = select(Session.id, Session.revoked_at).where(Session.revoked_at >= bindparam("since"))

Expiries = Mapping[UUID, int]

log = structlog.get_logger(__name__)


class Reconciler:
    """Compares what the database says with what this process heard by the stream, every `pause_seconds`.

    Whatever the stream does, this process's own table learns from the database, so that strict routes of this service
    need the stream for nothing.
    """

    def __init__(
        self,
        database: Database,
        revocations: RevokedSessions,
        publisher: RevocationPublisher,
        clock: Clock,
        *,
        pause_seconds: float = RECONCILE_SECONDS,
    ) -> None:
        self._database = database
        self._revocations = revocations
        self._publisher = publisher
        self._clock = clock
        self._pause_seconds = pause_seconds
        self._done: tuple[int, datetime] | None = None
        self._is_failing = False
        self._loop = BackgroundLoop("revocation-reconciler", self._step)
        revocations.on_caught_up(self._loop.hurry)
        revocations.on_broken_epoch(publisher.withdraw)

    def start(self) -> None:
        """Begin, in this process."""
        self._revocations.expect("database")
        self._loop.start()

    def stop(self) -> None:
        """End."""
        self._loop.stop()

    def reconcile(self) -> None:
        """Compare once, and publish what is missing. Raises SQLAlchemyError where the database cannot be asked."""
        # Both noted before anything is read: what changes meanwhile is for the next round.
        generation, started_at = self._revocations.stream_generation, self._clock()
        revoked = self._read_revoked(self._since(generation, started_at))
        self._revocations.learn(revoked)
        self._revocations.confirm("database")
        if not self._revocations.is_listening or not self._publish_missing(revoked):
            return
        self._done = (generation, started_at)
        if not self._revocations.stream_is_vouched_for:
            self._publisher.vouch()

    def _since(self, generation: int, started_at: datetime) -> datetime:
        if self._done is None or self._done[0] != generation:
            return started_at - WINDOW
        return max(self._done[1] - OVERLAP, started_at - WINDOW)

    def _read_revoked(self, since: datetime) -> dict[UUID, int]:
        with self._database.read() as session:
            rows = session.execute(_FIND_REVOKED, {"since": since}).all()
        return {sid: int(revoked_at.timestamp()) + WINDOW_SECONDS for sid, revoked_at in rows if revoked_at is not None}

    def _publish_missing(self, revoked: Expiries) -> bool:
        """Return whether the stream holds them all now."""
        missing = self._revocations.absent_from_stream(revoked)
        if len(missing) >= MANY and not self._publisher.take_turn():
            return False
        for batch in _in_batches(missing):
            absent = self._revocations.absent_from_stream(batch)  # others may have published since
            if absent and not self._publisher.republish(absent):
                return False
        return True

    def _step(self) -> float:
        try:
            self.reconcile()
        except SQLAlchemyError as error:
            self._note_failure(error)
        else:
            self._is_failing = False
        return self._pause_seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, guards nothing

    def _note_failure(self, error: SQLAlchemyError) -> None:
        if not self._is_failing:  # once per outage
            log.warning("revocations_not_reconciled", error_class=type(error).__name__)
        self._is_failing = True


def _in_batches(expiries: Expiries) -> Iterator[Expiries]:
    remaining = iter(expiries.items())
    while batch := dict(islice(remaining, BATCH)):
        yield batch
