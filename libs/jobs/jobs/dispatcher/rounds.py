"""The rounds of a dispatcher over one store: publish what is due or got lost, take jobs from silent workers.

No duty does more than one batch a round, so that a long backlog of one never keeps the others waiting.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from common.db import Database, run_write
from common.db.sessions import WriteSession
from prometheus_client import Gauge
from sqlalchemy.exc import SQLAlchemyError

from jobs import metrics
from jobs.dispatcher import picking, sweeping
from jobs.dispatcher.gauges import Gauges
from jobs.dispatcher.picking import Picked
from jobs.dispatcher.publishing import Publisher, PublishError
from jobs.dispatcher.purging import Purge, Retention
from jobs.dispatcher.scheduling import Scheduler
from jobs.files import PieceDirectory
from jobs.schedules import Schedule
from jobs.upkeep import Upkeep

log = structlog.get_logger(__name__)

LONGEST_PAUSE_SECONDS = 5.0
BUSY_FOR_SECONDS = 60.0
STOP_SECONDS = 1.0


@dataclass(frozen=True)
class Pace:
    """How often a dispatcher looks, in seconds, and how many jobs it takes at once."""

    busy_seconds: float = 0.05
    idle_seconds: float = 0.25
    batch: int = 100
    lease_sweep_seconds: float = 1.0
    redispatch_seconds: float = 60.0
    slow_round_seconds: float = 10.0
    purge_seconds: float = 60.0
    purge_pause_seconds: float = 0.5
    orphan_seconds: float = 3600.0


class StoreDispatcher:
    """One store's dispatcher. `run` until `stop` is set; `last_round_at` (monotonic) tells that it is alive."""

    def __init__(
        self,
        store: str,
        database: Database,
        publisher: Publisher,
        pace: Pace,
        stop: threading.Event,
        *,
        schedules: Sequence[Schedule] = (),
        retention: Retention | None = None,
        pieces: PieceDirectory | None = None,
        upkeep: Sequence[Upkeep] = (),
    ) -> None:
        """`pieces` is where the store's files are, if in a directory. What is another store's is left out."""
        self.last_round_at = time.monotonic()
        self._store = store
        self._database = database
        self._publisher = publisher
        self._pace = pace
        self._stop = stop
        self._gauges = Gauges(store, database)
        self._last_due_at = -BUSY_FOR_SECONDS
        self._failures = 0
        scheduler = Scheduler(store, database, schedules)
        purge = Purge(store, database, retention or Retention(), pieces)
        slow, rare, pause = pace.slow_round_seconds, pace.orphan_seconds, pace.purge_pause_seconds
        self._duties = [
            self._duty("publish", 0, self.publish_due),
            self._duty("leases", pace.lease_sweep_seconds, lambda: sweeping.expire_leases(store, database)),
            self._duty("redispatch", min(slow, pace.redispatch_seconds / 2), self.publish_lost),
            self._duty("deadlines", slow, lambda: sweeping.fail_overdue(store, database)),
            self._duty("gauges", slow, self._gauges.update, may_fail=True),
            self._duty("schedules", slow, scheduler.make_jobs, may_fail=True),
        ]
        self._upkeep = [
            self._duty("old-runs", rare, scheduler.prune, may_fail=True),
            self._duty("purge", pace.purge_seconds, purge.delete_jobs, pause, may_fail=True),
            self._duty("orphans", rare, purge.delete_orphans, pause, may_fail=True),
            *(
                self._duty(each.name, pace.purge_seconds, partial(each.run, database), pause, may_fail=True)
                for each in upkeep
                if each.store == store
            ),
        ]

    def run(self) -> None:
        """Round after round. A database or broker that fails is asked again later, with jitter, up to 5 s apart.

        Deleting has a thread of its own: jobs that are due would wait for each of its batches.
        """
        upkeep = threading.Thread(target=self._run_upkeep, daemon=True)
        upkeep.start()
        while not self._stop.is_set():
            self._stop.wait(self._do_duties())
        upkeep.join(timeout=STOP_SECONDS)

    def run_round(self) -> float:
        """Do all that is due now, upkeep too; return the pause until the next round in seconds."""
        pause = self._do_duties()
        self._do_upkeep()
        return pause

    def _run_upkeep(self) -> None:
        while not self._stop.wait(self._pace.idle_seconds):
            self._do_upkeep()

    def _do_upkeep(self) -> None:
        for duty in self._upkeep:
            if not self._stop.is_set():
                self._try(duty)

    def _do_duties(self) -> float:
        outcomes = []
        for duty in self._duties:
            outcomes.append(self._try(duty))
            # At each duty: with a database that answers nothing, a whole round takes a minute.
            self.last_round_at = time.monotonic()
        self._failures = self._failures + 1 if None in outcomes else 0
        if self._failures:
            return random.uniform(0.1, min(LONGEST_PAUSE_SECONDS, 0.2 * 2 ** min(self._failures, 8)))  # noqa: S311 - jitter
        if any(outcomes):
            return 0
        busy = time.monotonic() - self._last_due_at < BUSY_FOR_SECONDS
        return self._pace.busy_seconds if busy else self._pace.idle_seconds

    def publish_due(self) -> bool:
        """Publish one batch of what is due; return whether there may be more.

        Raises PublishError after taking back what was not published.
        """
        if not picking.has_due(self._database):
            return False
        self._last_due_at = time.monotonic()
        picked = self._mark(lambda session: picking.pick_due(session, self._pace.batch))
        self._publish(picked)
        for job in picked:
            metrics.dispatch_lag_seconds.labels(self._store).observe(job.lag_seconds)
        return len(picked) == self._pace.batch

    def publish_lost(self) -> bool:
        """Publish again, where the broker holds fewer messages than jobs were published, what waits too long.

        One batch of each queue; returns whether there may be more.
        """
        with self._database.read() as session:
            queues = picking.stale_queues(session, self._pace.redispatch_seconds)
            published = picking.published_by_queue(session) if queues else {}
        lost = {queue: published[queue] - self._publisher.count_waiting(self._store, queue) for queue in queues}
        full = [self._publish_again(queue, count) for queue, count in lost.items() if count > 0]
        return any(full)

    def _publish_again(self, queue: str, lost: int) -> bool:
        stale, limit = self._pace.redispatch_seconds, min(lost, self._pace.batch)
        picked = self._mark(lambda session: picking.pick_stale(session, queue, stale, limit))
        self._publish(picked)
        if picked:
            metrics.redispatched.labels(self._store).inc(len(picked))
            log.warning("jobs_published_again", store=self._store, queue=queue, count=len(picked))
        return len(picked) == self._pace.batch

    def _mark(self, pick: Callable[[WriteSession], list[Picked]]) -> list[Picked]:
        def work(session: WriteSession) -> list[Picked]:
            picked = pick(session)
            session.commit()
            return picked

        return run_write(self._database, work)

    def _publish(self, picked: Sequence[Picked]) -> None:
        done = 0
        try:
            for job in picked:
                if self._stop.is_set():
                    break
                self._publisher.publish(self._store, job.job_id, job.queue)
                done += 1
        except PublishError:
            metrics.publish_errors.labels(self._store).inc()
            raise
        finally:
            # Else they would wait for the redispatch of lost messages.
            self._unmark(picked[done:])
            metrics.published.labels(self._store).inc(done)

    def _unmark(self, picked: Sequence[Picked]) -> None:
        def work(session: WriteSession) -> None:
            picking.unmark(session, picked)
            session.commit()

        if picked:
            run_write(self._database, work)

    def _duty(
        self,
        name: str,
        seconds: float,
        do: Callable[[], bool | None],
        pause_seconds: float = 0,
        *,
        may_fail: bool = False,
    ) -> "_Duty":
        done = metrics.duty_done.labels(self._store, name)
        return _Duty(name, seconds, do, pause_seconds, done, may_fail=may_fail)

    def _try(self, duty: "_Duty") -> bool | None:
        """Whether there is more to do at once; None where it failed."""
        try:
            return duty.do_if_due()
        except PublishError as error:
            log.warning("broker_unavailable", store=self._store, reason=str(error))
        except SQLAlchemyError as error:
            log.warning("job_store_unavailable", store=self._store, reason=str(getattr(error, "orig", error)))
            if duty.may_fail:
                duty.put_off()
                return False
        except Exception:  # a directory that does not let go of a file, for one: jobs are handed out all the same
            if not duty.may_fail:
                raise
            log.exception("duty_failed", store=self._store, duty=duty.name)
            duty.put_off()
            return False
        return None


class _Duty:
    """Something to do every `seconds`; what failed, or says that there is more, is due again at the next round.

    With a pause, more is done only after that: it is work that may wait. What `may_fail` is due again when it would be
    anyway, and slows nothing down.
    """

    def __init__(
        self,
        name: str,
        seconds: float,
        do: Callable[[], bool | None],
        pause_seconds: float,
        done: Gauge,
        *,
        may_fail: bool,
    ) -> None:
        self.name = name
        self.may_fail = may_fail
        self._done = done
        self._done.set_to_current_time()
        self._seconds = seconds
        self._pause_seconds = pause_seconds
        self._do = do
        self._next_at = 0.0

    def put_off(self) -> None:
        self._next_at = time.monotonic() + self._seconds

    def do_if_due(self) -> bool:
        if time.monotonic() < self._next_at:
            return False
        has_more = bool(self._do())
        self._done.set_to_current_time()
        self._next_at = time.monotonic() + (self._pause_seconds if has_more else self._seconds)
        return has_more and not self._pause_seconds
