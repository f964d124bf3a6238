"""Keeps the lease of a running job while its handler works, and tells the handler when it has to stop."""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import structlog
from common.db import Database, run_write
from common.db.sessions import WriteSession

from jobs import transitions
from jobs.errors import DeadlineExceeded, JobCancelled, LeaseLost, TimeLimitExceeded
from jobs.lease import Lease
from jobs.transitions import Notice
from jobs.watch import current_watch

log = structlog.get_logger(__name__)

SELF_FENCING_SHARE = 5 / 6
"""Of the lease: without a renewal for that long the handler stops, before another worker can have the job."""
RETRY_SECONDS = 1.0
EX_SOFTWARE = 70


@dataclass(frozen=True)
class Timing:
    """How long a lease lasts and how often it is renewed, in seconds."""

    lease_seconds: float = 30
    heartbeat_seconds: float = 10


class LeaseKeeper:
    """Renews the lease by a connection of its own, and enforces the time limits of the kind, beside the handler.

    The lease is counted from `claim_sent_at` (monotonic): the database may have given it at once and answered late.
    `on_hard_limit` runs in the watch's thread when the hard limit is reached; the process ends after it. Use as a
    context manager around the run.
    """

    def __init__(
        self,
        database: Database,
        lease: Lease,
        timing: Timing,
        limits: tuple[float, float],
        on_hard_limit: Callable[[], object],
        *,
        claim_sent_at: float,
    ) -> None:
        soft, hard = limits
        started_at = time.monotonic()
        self._database = database
        self._lease = lease
        self._timing = timing
        self._on_hard_limit = on_hard_limit
        self._renewed_at = claim_sent_at
        self._soft_limit_at = started_at + soft
        self._hard_limit_at = started_at + hard
        self._next_beat_at = claim_sent_at + timing.heartbeat_seconds
        self._notice: Notice | None = Notice(cancel_requested=False, deadline_passed=False)

    def __enter__(self) -> Self:
        current_watch().add(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        # Not for long: a renewal that hangs on the database meets a row it may no longer change.
        current_watch().remove(self, RETRY_SECONDS)

    @property
    def is_safe(self) -> bool:
        """Whether no other worker can have the job yet."""
        silence = time.monotonic() - self._renewed_at
        return self._notice is not None and silence < self._timing.lease_seconds * SELF_FENCING_SHARE

    def check(self) -> None:
        """Raise what the handler has to end with, if anything."""
        notice = self._notice
        if notice is None or not self.is_safe:
            raise LeaseLost
        if notice.cancel_requested:
            raise JobCancelled
        if notice.deadline_passed:
            raise DeadlineExceeded
        if time.monotonic() >= self._soft_limit_at:
            raise TimeLimitExceeded

    @property
    def due_at(self) -> float:
        return min(self._next_beat_at, self._hard_limit_at)

    def look_after(self) -> None:
        if time.monotonic() >= self._hard_limit_at:
            self._end_process()
        if time.monotonic() >= self._next_beat_at:
            self._beat()

    def _beat(self) -> None:
        sent_at = time.monotonic()
        try:
            self._notice = run_write(self._database, self._renew)
        except Exception as error:  # whatever it is: without the watch the hard limit would not hold
            log.warning("lease_renewal_failed", job_id=str(self._lease.job_id), error=type(error).__name__)
            self._next_beat_at = time.monotonic() + min(RETRY_SECONDS, self._timing.heartbeat_seconds)
            return
        # Counted from before the request: the database took it for at least this long.
        self._renewed_at = sent_at
        # A lease that is lost needs no more of it; the hard limit still holds for a handler that does not listen.
        self._next_beat_at = sent_at + self._timing.heartbeat_seconds if self._notice else math.inf

    def _renew(self, session: WriteSession) -> Notice | None:
        notice = transitions.renew(session, self._lease, self._timing.lease_seconds)
        session.commit()
        return notice

    def _end_process(self) -> None:
        """The only way to stop a handler that does not listen: its process goes, the row is handed on first."""
        try:
            self._on_hard_limit()
        finally:
            os._exit(EX_SOFTWARE)
