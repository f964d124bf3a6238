"""One attempt at a claimed job: the handler runs under the lease, and its end is written under the fence."""

import time

import structlog
from common.errors import DomainError
from pydantic import BaseModel
from sqlalchemy.exc import InterfaceError, OperationalError

from jobs import endings, metrics
from jobs.claimed_job import ClaimedJob
from jobs.context import JobContext
from jobs.endings import Budget, Ending, Success
from jobs.errors import JobInterrupted, WorkerStopping
from jobs.insist import insist, reason_of
from jobs.keeper import LeaseKeeper
from jobs.kinds import Kind
from jobs.lease import Lease
from jobs.registry import Registry
from jobs.site import Site
from jobs.states import Outcome

log = structlog.get_logger(__name__)

_FINAL = {Outcome.SUCCEEDED, Outcome.FAILED, Outcome.DEAD, Outcome.CANCELLED}


class Attempt:
    """A claimed job on its way to the end of the attempt."""

    def __init__(self, site: Site, job: ClaimedJob, claim_sent_at: float) -> None:
        """`claim_sent_at` is on the monotonic clock."""
        self._site = site
        self._labels = (site.store, job.kind)
        self._job = job
        self._lease = Lease(job.id, job.fence)
        self._claim_sent_at = claim_sent_at
        self._started = time.monotonic()

    def run(self, registry: Registry) -> Outcome | None:
        """Run the handler and write the end; None where it could not be written: the job is not ours any more.

        What ends the whole process (SystemExit) is raised on, after the job was handed back.
        """
        try:
            return self._run(registry)
        except BaseException as error:
            if not isinstance(error, Exception):
                self._end(endings.RELEASED, insist_seconds=0)
            raise

    def _run(self, registry: Registry) -> Outcome | None:
        self._count_start()
        try:
            kind = registry.get(self._job.kind, self._job.kind_version)
            payload = kind.declaration.read_payload(self._job.payload)
        except DomainError as error:
            log.warning("job_not_understood", reason=str(error))
            return self._end(endings.of_error(error, self._budget()))
        with self._lease_keeper(kind) as keeper:
            context = JobContext(self._site, self._job, kind.declaration, lambda: self._check(keeper))
            return self._end(self._call(kind, payload, context))

    def _lease_keeper(self, kind: Kind) -> LeaseKeeper:
        return LeaseKeeper(
            self._site.database,
            self._lease,
            self._site.timing,
            (kind.declaration.soft_limit, kind.declaration.hard_limit),
            self._end_out_of_time,
            claim_sent_at=self._claim_sent_at,
        )

    def _check(self, keeper: LeaseKeeper) -> None:
        keeper.check()
        if self._site.is_stopping():
            raise WorkerStopping

    def _call(self, kind: Kind, payload: BaseModel, context: JobContext) -> Ending | Success:
        try:
            return endings.of_result(kind(context, payload))
        except (Exception, JobInterrupted) as error:
            ending = endings.of_error(error, self._budget(context.has_advanced))
            # A refusal speaks for itself; anything else needs its trace to be understood.
            trace = not isinstance(error, (DomainError, JobInterrupted))
            log.warning("job_attempt_failed", error_class=type(error).__name__, error=ending.error, exc_info=trace)
            return ending

    def _end_out_of_time(self) -> None:
        self._end(endings.out_of_time(self._budget()))

    def _end(self, ending: Ending | Success, insist_seconds: float | None = None) -> Outcome | None:
        """Write the end, asking again while the database is away: the fence makes that safe."""
        patience = self._site.timing.lease_seconds if insist_seconds is None else insist_seconds
        try:
            outcome = insist(lambda: ending.write(self._site.database, self._lease), patience)
        except (OperationalError, InterfaceError) as error:
            # The lease runs out, and the dispatcher hands the job on.
            log.error("job_end_not_written", outcome=ending.outcome, reason=reason_of(error))
            return None
        self._count_end(outcome, ending)
        return outcome

    def _budget(self, has_advanced: bool = False) -> Budget:
        return Budget(self._job.attempt, self._job.max_attempts, has_advanced)

    def _count_start(self) -> None:
        job = self._job
        metrics.attempts.labels(*self._labels).inc()
        metrics.wait_seconds.labels(*self._labels).observe((job.claimed_at - job.run_after).total_seconds())
        log.info("job_started", kind=job.kind, attempt=job.attempt, fence=job.fence, worker=job.worker)

    def _count_end(self, outcome: Outcome | None, ending: Ending | Success) -> None:
        seconds = time.monotonic() - self._started
        if outcome is None:
            metrics.fenced_off.labels(self._labels[0]).inc()
            log.warning("job_fenced_off", meant=ending.outcome, fence=self._lease.fence)
            return
        metrics.outcomes.labels(*self._labels, outcome).inc()
        metrics.run_seconds.labels(*self._labels).observe(seconds)
        if outcome in _FINAL:
            accepted_for = (self._job.claimed_at - self._job.created_at).total_seconds() + seconds
            metrics.end_to_end_seconds.labels(*self._labels).observe(accepted_for)
        log.info("job_ended", kind=self._job.kind, outcome=outcome, seconds=round(seconds, 3), error=ending.error)
