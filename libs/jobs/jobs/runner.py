"""Runs one job from its message to the end of the attempt."""

import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from common.db import Database
from sqlalchemy.exc import InterfaceError, OperationalError

from jobs import metrics
from jobs.attempt import Attempt
from jobs.claimed_job import ClaimedJob
from jobs.claiming import claim_job
from jobs.errors import UnknownStore
from jobs.files import FileStore
from jobs.insist import reason_of
from jobs.keeper import Timing
from jobs.registry import Registry
from jobs.site import Site
from jobs.states import Outcome
from jobs.stores import Stores

log = structlog.get_logger(__name__)


def incarnation_id() -> str:
    """Return a name no other process ever has: a pod's name and even its process ids come back after a restart."""
    return f"{socket.gethostname()[:80]}-{os.getpid()}-{secrets.token_hex(4)}"


@dataclass
class Runner:
    """Takes jobs from the stores and runs them by the registry, one at a time.

    Once `is_stopping` says so, a running job is handed back at its next check.
    """

    stores: Stores
    registry: Registry
    timing: Timing = field(default_factory=Timing)
    worker: str = field(default_factory=incarnation_id)
    is_stopping: Callable[[], bool] = bool
    files: Callable[[str], FileStore] = field(default=lambda store: FileStore())
    """The files of a store by its name."""

    def run(self, store: str, job_id: UUID) -> Outcome | None:
        """Run the job if it is there to be claimed; return how the attempt ended.

        None when there was nothing to claim (a late or repeated message), the database did not answer, or the job
        was taken away meanwhile. SystemExit (the worker is told to stop) hands the job back and is raised on.
        """
        with structlog.contextvars.bound_contextvars(store=store, job_id=str(job_id)):
            try:
                database = self.stores.database(store)
                claim = claim_job(database, job_id, self.worker, self.timing.lease_seconds)
            except UnknownStore as error:
                log.error("job_not_claimed", reason=str(error))
                return None
            except (OperationalError, InterfaceError) as error:
                # Whether or not the claim was written, the dispatcher finds the row and sends another message.
                log.error("job_not_claimed", reason=reason_of(error))
                return None
            if claim is None:
                metrics.claim_skipped.labels(store).inc()
                return None
            with structlog.contextvars.bound_contextvars(**_trace_of(claim.job)):
                return Attempt(self._site(store, database), claim.job, claim.sent_at).run(self.registry)

    def _site(self, store: str, database: Database) -> Site:
        return Site(store, database, self.stores, self.files(store), self.timing, self.is_stopping)


def _trace_of(job: ClaimedJob) -> dict[str, str]:
    """The id that the log lines of the request had (W3C Trace Context: version-trace-parent-flags)."""
    parts = (job.traceparent or "").split("-")
    return {"trace_id": parts[1]} if len(parts) >= 4 else {}
