"""A dispatcher of one store: it publishes what is due or got lost, and takes jobs from silent workers.

No duty changes more than one batch a round, so that a long backlog of one never keeps the others waiting.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from common.db import Database, run_write
from common.db.sessions import WriteSession

from jobs import metrics
from jobs.dispatcher import picking, sweeping
from jobs.dispatcher.duties import Duty, Rounds
from jobs.dispatcher.gauges import Gauges
from jobs.dispatcher.picking import Picked
from jobs.dispatcher.publishing import Publisher, PublishError
from jobs.dispatcher.purging import Purge, Retention
from jobs.dispatcher.scheduling import Scheduler
from jobs.files import PieceDirectory
from jobs.schedules import Schedule
from jobs.upkeep import Upkeep

log = structlog.get_logger(__name__)

BUSY_FOR_SECONDS = 60.0
STOP_SECONDS = 1.0
SENT_TOGETHER = 20
"""Messages in one go: enough to save nearly all round trips, few enough that the first does not wait for the last."""


@dataclass(frozen=True)
class Pace:
    """How often a dispatcher looks, in seconds, and how many jobs it takes at once."""

    busy_seconds: float = 0.04
    idle_seconds: float = 0.25
    batch: int = 100
    lease_sweep_seconds: float = 1.0
    redispatch_seconds: float = 60.0
    slow_round_seconds: float = 10.0
    purge_seconds: float = 60.0
    purge_pause_seconds: float = 0.5
    orphan_seconds: float = 3600.0


class StoreDispatcher:
    """One store's dispatcher: `run` it until `stop` is set."""

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
        self._store = store
        self._database = database
        self._publisher = publisher
        self._pace = pace
        self._stop = stop
        self._last_due_at = -BUSY_FOR_SECONDS
        scheduler = Scheduler(store, database, schedules)
        purge = Purge(store, database, retention or Retention(), pieces)
        slow, rare, pause = pace.slow_round_seconds, pace.orphan_seconds, pace.purge_pause_seconds
        duty = partial(Duty, store)
        handing_out = [
            duty("publish", 0, self.publish_due),
            duty("redispatch", min(slow, pace.redispatch_seconds / 2), self.publish_lost),
        ]
        watching = [
            duty("leases", pace.lease_sweep_seconds, lambda: sweeping.expire_leases(store, database)),
            duty("deadlines", slow, lambda: sweeping.fail_overdue(store, database)),
            duty("gauges", slow, Gauges(store, database).update, may_fail=True),
            duty("schedules", slow, scheduler.make_jobs, may_fail=True),
        ]
        deleting = [
            duty("old-runs", rare, scheduler.prune, may_fail=True),
            duty("purge", pace.purge_seconds, purge.delete_jobs, pause, may_fail=True),
            duty("orphans", rare, purge.delete_orphans, pause, may_fail=True),
            *(
                duty(each.name, pace.purge_seconds, partial(each.run, database), pause, may_fail=True)
                for each in upkeep
                if each.store == store
            ),
        ]
        self._handing_out = Rounds(handing_out, stop, self._pause_seconds)
        self._watching = Rounds(watching, stop, lambda: pace.idle_seconds)
        self._upkeep = Rounds(deleting, stop, lambda: pace.idle_seconds)

    @property
    def last_round_at(self) -> float:
        """When it last did something for jobs (monotonic): it is alive."""
        return min(self._handing_out.last_at, self._watching.last_at)

    def run(self) -> None:
        """Until `stop` is set. A broker that does not answer, and deleting, each have a thread to keep waiting.

        Leases are looked at meanwhile, and what is due is published.
        """
        others = [threading.Thread(target=rounds.run, daemon=True) for rounds in (self._watching, self._upkeep)]
        for thread in others:
            thread.start()
        self._handing_out.run()
        for thread in others:
            thread.join(timeout=STOP_SECONDS)

    def run_round(self) -> float:
        """Do all that is due now; return the pause until the next round in seconds."""
        pauses = [rounds.run_once() for rounds in (self._handing_out, self._watching, self._upkeep)]
        return min(pauses)

    def _pause_seconds(self) -> float:
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
            while done < len(picked) and not self._stop.is_set():
                done += self._publish_together(picked[done : done + SENT_TOGETHER])
        except PublishError:
            metrics.publish_errors.labels(self._store).inc()
            raise
        finally:
            # Else they would wait for the redispatch of lost messages. Those of a batch that failed may be in the
            # broker all the same: who gets the second message finds nothing to claim.
            self._unmark(picked[done:])
            metrics.published.labels(self._store).inc(done)

    def _publish_together(self, picked: Sequence[Picked]) -> int:
        with self._publisher.batch():
            for job in picked:
                self._publisher.publish(self._store, job.job_id, job.queue)
        return len(picked)

    def _unmark(self, picked: Sequence[Picked]) -> None:
        def work(session: WriteSession) -> None:
            picking.unmark(session, picked)
            session.commit()

        if picked:
            run_write(self._database, work)
