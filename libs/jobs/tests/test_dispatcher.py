"""Publishing: nothing due is forgotten, nothing is handed out twice without need, whatever dies in between."""

import threading
import time
from collections import Counter
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from common.testing.statements import recorded
from common.testing.waiting import eventually
from jobs import transitions
from jobs.dispatcher import Pace, StoreDispatcher, picking, sweeping
from jobs.dispatcher.duties import Duty
from jobs.dispatcher.gauges import Gauges
from jobs.dispatcher.publishing import PublishError
from jobs.kinds import job_kind
from jobs.lease import Lease
from jobs.models import Job
from jobs.states import JobState
from jobs.testing import Numbers, StoreHarness
from prometheus_client import REGISTRY
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, OperationalError


class FakeBroker:
    """Holds messages in memory; refuses after `accepts` of them."""

    def __init__(self, accepts: int | None = None) -> None:
        self.messages: list[UUID] = []
        self.queues: Counter[str] = Counter()
        self.accepts = accepts

    def batch(self) -> AbstractContextManager[None]:
        return nullcontext()

    def publish(self, store: str, job_id: UUID, queue: str) -> None:
        if self.accepts is not None and len(self.messages) >= self.accepts:
            raise PublishError("connection refused")
        self.messages.append(job_id)
        self.queues[queue] += 1

    def count_waiting(self, store: str, queue: str) -> int:
        return len(self.messages)


_LEASE = "lease_until_kind_queue_run_after_deadline_at"
_MARK = "dispatched_at_run_after_queue"

EAGER = Pace(lease_sweep_seconds=0, redispatch_seconds=0, slow_round_seconds=0)


def dispatcher(store: StoreHarness, broker: Any, pace: Pace | None = None) -> StoreDispatcher:
    return StoreDispatcher("api", store.database, broker, pace or Pace(), threading.Event())


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, {"store": "api"} | labels) or 0


def test_a_due_job_is_published_once(store: StoreHarness) -> None:
    broker, job_id = FakeBroker(), store.enqueue()
    rounds = dispatcher(store, broker)
    rounds.publish_due()
    rounds.publish_due()
    assert broker.messages == [job_id]
    job = store.job(job_id)
    assert (job.state, job.dispatch_count) == (JobState.QUEUED, 1)
    assert job.dispatched_at is not None


def test_what_is_not_due_running_or_finished_is_not_published(store: StoreHarness) -> None:
    broker = FakeBroker()
    store.enqueue(delay_seconds=60)
    store.start()
    store.transition(transitions.succeed, store.start(), None)
    store.transition(transitions.cancel_queued, store.enqueue())
    rounds = dispatcher(store, broker, EAGER)
    rounds.run_round()
    assert broker.messages == []


def test_a_job_goes_to_the_queue_of_its_kind_and_the_urgent_ones_go_first(store: StoreHarness) -> None:
    broker = FakeBroker()
    later = store.enqueue(kind=job_kind("numbers", 1, payload=Numbers, queue="slow"))
    first = store.enqueue(priority=5)
    dispatcher(store, broker).publish_due()
    assert broker.messages == [first, later]
    assert broker.queues == {"slow": 1, "default": 1}


def test_a_retry_is_published_again_when_it_is_due(store: StoreHarness) -> None:
    broker, job_id = FakeBroker(), store.enqueue()
    rounds = dispatcher(store, broker)
    rounds.publish_due()
    lease = store.claim(job_id)
    assert lease
    store.transition(transitions.retry, lease, {"code": "x", "message": "y"}, 60)
    rounds.publish_due()
    assert broker.messages == [job_id]
    store.change(job_id, run_after=store.job(job_id).created_at)
    rounds.publish_due()
    assert broker.messages == [job_id, job_id]


def test_what_the_broker_did_not_take_is_unmarked_and_published_when_it_is_back(
    store: StoreHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.dispatcher.rounds.SENT_TOGETHER", 2)
    broker = FakeBroker(accepts=2)
    jobs = [store.enqueue() for _ in range(5)]
    errors = sample("publish_errors_total")
    rounds = dispatcher(store, broker)
    with pytest.raises(PublishError):
        rounds.publish_due()
    assert [store.job(job_id).dispatched_at is not None for job_id in jobs] == [True, True, False, False, False]
    assert [store.job(job_id).dispatch_count for job_id in jobs] == [1, 1, 0, 0, 0]
    assert sample("publish_errors_total") == errors + 1
    broker.accepts = None
    rounds.publish_due()
    assert broker.messages == jobs


def test_rounds_outlive_failures_of_broker_and_database(store: StoreHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = FakeBroker(accepts=0)
    job_id = store.enqueue()
    rounds = dispatcher(store, broker)
    assert [rounds.run_round() for _ in range(3)] == [Pace().busy_seconds] * 3
    broker.accepts = None
    monkeypatch.setattr("jobs.dispatcher.picking.has_due", _database_is_gone)
    time.sleep(0.5)
    rounds.run_round()
    assert broker.messages == []
    monkeypatch.undo()
    eventually(lambda: rounds.run_round() and broker.messages)
    assert broker.messages == [job_id]


@pytest.mark.parametrize("broken", ["publish", "leases", "redispatch", "deadlines"])
def test_a_duty_that_fails_slows_no_other(store: StoreHarness, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    duties = {
        "publish": "rounds.StoreDispatcher.publish_due",
        "redispatch": "rounds.StoreDispatcher.publish_lost",
        "leases": "sweeping.expire_leases",
        "deadlines": "sweeping.fail_overdue",
    }
    calls: Counter[str] = Counter()

    def make(name: str) -> Any:
        def do(*_: object) -> None:
            calls[name] += 1
            if name == broken:
                raise LookupError("a row with a state nobody knows")

        return do

    for name, path in duties.items():
        monkeypatch.setattr(f"jobs.dispatcher.{path}", make(name))
    rounds = dispatcher(store, FakeBroker(), EAGER)
    assert [rounds.run_round() for _ in range(20)] == [Pace().idle_seconds] * 20
    assert calls.pop(broken) < 20
    assert set(calls.values()) == {20}


def test_a_broker_that_does_not_answer_keeps_no_silent_worker_s_job(store: StoreHarness) -> None:
    asked, answer, stop = threading.Event(), threading.Event(), threading.Event()

    class FrozenBroker(FakeBroker):
        def publish(self, store: str, job_id: UUID, queue: str) -> None:
            asked.set()
            answer.wait(30)

    lease = store.start()
    store.enqueue()
    rounds = StoreDispatcher("api", store.database, FrozenBroker(), EAGER, stop)
    thread = threading.Thread(target=rounds.run)
    thread.start()
    try:
        assert asked.wait(30)
        store.transition(transitions.renew, lease, -1)
        assert eventually(lambda: store.job(lease.job_id).crash_count) == 1
        assert not answer.is_set()
    finally:
        answer.set()
        stop.set()
        thread.join()


def test_a_duty_that_goes_on_failing_is_tried_less_often_until_it_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    now, pauses, outcomes = [1000.0], [], iter([PublishError("no")] * 8 + [None] + [PublishError("no")])
    monkeypatch.setattr("jobs.dispatcher.duties.time.monotonic", lambda: now[0])
    monkeypatch.setattr("jobs.dispatcher.duties.random.uniform", lambda shortest, longest: longest)

    def do() -> None:
        if error := next(outcomes):
            raise error

    duty = Duty("api", "publish", 1, do)
    for _ in range(10):
        duty.do_if_due()
        pauses.append(duty._next_at - now[0])
        now[0] = duty._next_at
    assert pauses == pytest.approx([0.4, 0.8, 1.6, 3.2, 5, 5, 5, 5, 1, 0.4])


SWEEPS = pytest.mark.parametrize("sweep", [sweeping.expire_leases, sweeping.fail_overdue])


def jobs_to_sweep(store: StoreHarness, sweep: Any, count: int) -> list[UUID]:
    if sweep is sweeping.fail_overdue:
        return [store.enqueue(deadline_seconds=-1) for _ in range(count)]
    jobs = [store.start().job_id for _ in range(count)]
    for n, job_id in enumerate(jobs):
        store.transition(transitions.renew, Lease(job_id, 1), n - 100)
    return jobs


def refuse_to_sweep(monkeypatch: pytest.MonkeyPatch, sweep: Any, jobs: Collection[UUID]) -> list[UUID]:
    """Let their transition fail; the list tells of each that was tried."""
    name, tried = sweep.__name__.removesuffix("_leases"), []
    original = getattr(transitions, name)

    def refuse(session: Any, job: Any) -> Any:
        if (job_id := getattr(job, "job_id", job)) in jobs:
            tried.append(job_id)
            raise IntegrityError("INSERT", {}, Exception("Duplicate entry"))
        return original(session, job)

    monkeypatch.setattr(transitions, name, refuse)
    return tried


@SWEEPS
def test_a_row_that_cannot_be_changed_keeps_no_other_from_being_swept(
    store: StoreHarness, monkeypatch: pytest.MonkeyPatch, sweep: Any
) -> None:
    jobs = jobs_to_sweep(store, sweep, 3)
    before = store.job(jobs[0]).state
    refuse_to_sweep(monkeypatch, sweep, [jobs[1]])
    monkeypatch.setattr(sweeping, "BATCH", 3)
    # "There may be more" only after one was swept: the row would be tried again and again without a pause.
    assert [sweep("api", store.database) for _ in range(2)] == [True, False]
    assert [store.job(job_id).state is before for job_id in jobs] == [False, True, False]


@SWEEPS
def test_batches_of_which_no_row_can_be_changed_are_passed_over(
    store: StoreHarness, monkeypatch: pytest.MonkeyPatch, sweep: Any
) -> None:
    *stuck, last = jobs_to_sweep(store, sweep, 5)
    before = store.job(last).state
    tried = refuse_to_sweep(monkeypatch, sweep, stuck)
    monkeypatch.setattr(sweeping, "BATCH", 2)
    monkeypatch.setattr(sweeping, "PASSED_OVER", 1)
    assert sweep("api", store.database) is False
    assert (tried, store.job(last).state) == (stuck, before)  # and no more than so many in one round
    monkeypatch.setattr(sweeping, "PASSED_OVER", 2)
    assert sweep("api", store.database) is False
    assert store.job(last).state is not before


@SWEEPS
def test_those_behind_a_batch_of_which_some_can_be_changed_do_not_wait(
    store: StoreHarness, monkeypatch: pytest.MonkeyPatch, sweep: Any
) -> None:
    stuck, *others = jobs_to_sweep(store, sweep, 5)
    before = store.job(stuck).state
    refuse_to_sweep(monkeypatch, sweep, [stuck])
    monkeypatch.setattr(sweeping, "BATCH", 2)
    while sweep("api", store.database):
        pass
    assert [store.job(job_id).state is before for job_id in (stuck, *others)] == [True, *[False] * 4]


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_a_row_somebody_holds_keeps_no_other_from_being_swept(store: StoreHarness) -> None:
    jobs = [store.enqueue(deadline_seconds=-1) for _ in range(3)]
    with store.database.write() as session:
        session.execute(select(Job.id).where(Job.id == jobs[1]).with_for_update())
        started = time.monotonic()
        sweeping.fail_overdue("api", store.database)
        assert time.monotonic() - started < 4  # waiting for it would take 15
        assert [store.job(job_id).state for job_id in jobs] == [JobState.FAILED, JobState.QUEUED, JobState.FAILED]
    sweeping.fail_overdue("api", store.database)
    assert store.job(jobs[1]).state is JobState.FAILED


def test_files_that_cannot_be_deleted_and_schedules_that_fail_hold_up_no_job(
    store: StoreHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    for duty in ("purging.Purge.delete_orphans", "scheduling.Scheduler.make_jobs", "gauges.Gauges.update"):
        monkeypatch.setattr(f"jobs.dispatcher.{duty}", refuse)
    broker = FakeBroker()
    job_id = store.enqueue()
    rounds = dispatcher(store, broker)
    assert rounds.run_round() == Pace().busy_seconds
    assert broker.messages == [job_id]


def _database_is_gone(*args: object) -> bool:
    raise OperationalError("SELECT", {}, Exception("gone"))


def test_a_dispatcher_killed_between_mark_and_publish_loses_nothing(store: StoreHarness) -> None:
    class Killed(BaseException):
        pass

    class DeadlyBroker(FakeBroker):
        def publish(self, store: str, job_id: UUID, queue: str) -> None:
            raise Killed

    job_id = store.enqueue()
    killed = dispatcher(store, DeadlyBroker())
    # A killed process runs no `finally`.
    killed._unmark = lambda picked: None  # type: ignore[method-assign]
    with pytest.raises(Killed):
        killed.publish_due()
    broker = FakeBroker()
    dispatcher(store, broker, Pace(redispatch_seconds=60)).publish_lost()
    assert broker.messages == []
    time.sleep(0.01)
    again = sample("redispatch_total")
    dispatcher(store, broker, EAGER).publish_lost()
    assert broker.messages == [job_id]
    assert sample("redispatch_total") == again + 1


def test_what_the_broker_lost_is_published_again(store: StoreHarness) -> None:
    broker = FakeBroker()
    jobs = [store.enqueue() for _ in range(3)]
    rounds = dispatcher(store, broker, EAGER)
    rounds.publish_due()
    broker.messages.clear()
    time.sleep(0.01)
    rounds.publish_lost()
    assert sorted(broker.messages) == sorted(jobs)


def test_a_backlog_the_broker_still_holds_is_not_published_again(store: StoreHarness) -> None:
    broker = FakeBroker()
    for _ in range(3):
        store.enqueue()
    rounds = dispatcher(store, broker, EAGER)
    rounds.publish_due()
    time.sleep(0.01)
    rounds.publish_lost()
    assert len(broker.messages) == 3


def test_a_lost_message_is_noticed_while_a_job_that_had_to_wait_long_runs(store: StoreHarness) -> None:
    broker = FakeBroker()
    first, second = store.enqueue(), store.enqueue()
    rounds = dispatcher(store, broker, Pace(redispatch_seconds=1))
    rounds.publish_due()
    store.change(first, dispatched_at=store.job(first).created_at - timedelta(hours=1))
    store.claim(first)
    broker.messages.clear()
    rounds.publish_lost()
    assert broker.messages == []
    time.sleep(1.1)
    rounds.publish_lost()
    assert broker.messages == [second]


def test_a_broker_that_forgot_a_long_backlog_is_refilled_without_pauses(store: StoreHarness) -> None:
    broker = FakeBroker()
    jobs = [store.enqueue() for _ in range(5)]
    rounds = dispatcher(store, broker, Pace(batch=2, redispatch_seconds=1))
    pauses = [rounds.run_round() for _ in range(3)]
    assert pauses == [0, 0, Pace().busy_seconds]
    broker.messages.clear()
    time.sleep(1.1)
    assert [rounds.run_round() for _ in range(4)] == [0, 0, Pace().busy_seconds, Pace().busy_seconds]
    assert sorted(broker.messages) == sorted(jobs)


def test_two_dispatchers_publish_each_of_many_jobs_once(store: StoreHarness) -> None:
    jobs = [store.enqueue() for _ in range(300)]
    brokers = [FakeBroker(), FakeBroker()]

    def drain(broker: FakeBroker) -> None:
        rounds = dispatcher(store, broker, Pace(batch=20))
        for _ in range(40):
            rounds.publish_due()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(drain, brokers))
    assert sorted(brokers[0].messages + brokers[1].messages) == sorted(jobs)


def test_dispatchers_and_workers_on_the_same_rows_do_not_trip_over_each_other(store: StoreHarness) -> None:
    jobs = [store.enqueue() for _ in range(100)]
    broker = FakeBroker()

    def publish(_: int) -> None:
        rounds = dispatcher(store, broker, Pace(batch=10, redispatch_seconds=0))
        for _round in range(20):
            rounds.publish_due()
            rounds.publish_lost()

    def work(part: int) -> None:
        for job_id in jobs[part::2]:
            while (lease := store.claim(job_id)) is None:
                time.sleep(0.001)
            assert store.transition(transitions.succeed, lease, None)

    with ThreadPoolExecutor(4) as pool:
        results = [pool.submit(publish, n) for n in range(2)] + [pool.submit(work, n) for n in range(2)]
        for result in results:
            result.result()
    assert {store.job(job_id).state for job_id in jobs} == {JobState.SUCCEEDED}
    assert set(broker.messages) <= set(jobs)


def test_a_silent_worker_loses_its_job_and_the_job_goes_on(store: StoreHarness) -> None:
    broker, expired = FakeBroker(), sample("lease_expired_total")
    lease = store.start()
    rounds = dispatcher(store, broker, EAGER)
    rounds.run_round()
    assert store.job(lease.job_id).state is JobState.RUNNING
    store.transition(transitions.renew, lease, -1)
    rounds.run_round()
    rounds.run_round()
    assert (store.job(lease.job_id).state, store.job(lease.job_id).crash_count) == (JobState.QUEUED, 1)
    assert broker.messages[:1] == [lease.job_id]
    assert sample("lease_expired_total") == expired + 1


def test_a_job_that_crashes_its_workers_dies_and_is_counted(store: StoreHarness) -> None:
    job_id, died = store.enqueue(), sample("dead_total")
    rounds = dispatcher(store, FakeBroker(), EAGER)
    for _ in range(3):
        lease = store.claim(job_id)
        assert lease
        store.transition(transitions.renew, lease, -1)
        rounds.run_round()
    assert store.job(job_id).state is JobState.DEAD
    assert sample("dead_total") == died + 1
    assert sample("jobs", state="dead", kind="numbers") == 1


def test_a_job_that_waits_past_its_deadline_fails(store: StoreHarness) -> None:
    job_id = store.enqueue(deadline_seconds=0)
    rounds = dispatcher(store, FakeBroker(accepts=0), EAGER)
    rounds.run_round()
    assert store.job(job_id).state is JobState.FAILED


def test_gauges_tell_states_and_the_oldest_due_job_and_fall_back_to_zero(store: StoreHarness) -> None:
    store.enqueue()
    store.enqueue()
    store.start()
    rounds = dispatcher(store, FakeBroker(), EAGER)
    time.sleep(0.02)
    rounds.run_round()
    assert sample("jobs", state="queued", kind="numbers") == 2
    assert sample("jobs", state="running", kind="numbers") == 1
    assert 0 < sample("oldest_due_age_seconds", queue="default") < 10
    for job_id in store.ids():
        store.transition(transitions.cancel_queued, job_id)
    rounds.run_round()
    assert sample("jobs", state="queued", kind="numbers") == 0
    assert sample("oldest_due_age_seconds", queue="default") == 0


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_what_is_looked_for_again_and_again_reads_no_row_however_many_wait_or_have_failed(store: StoreHarness) -> None:
    for _ in range(60):
        store.transition(transitions.fail, store.start(), {"code": "x", "message": "y"})
        store.enqueue()
    store.transition(picking.pick_due, 1000)
    with recorded(store.database.engine) as sent:
        Gauges("api", store.database).update()
        sweeping.fail_overdue("api", store.database)
        with store.database.read() as session:
            picking.stale_queues(session, 60)
            picking.published_by_queue(session)
    assert len(sent) == 5
    indexes = [f"ix_jobs_state_{rest}" for rest in (_LEASE, _LEASE, _LEASE, _MARK, _MARK)]
    with store.database.read_engine.connect() as connection:
        for (statement, values), index in zip(sent, indexes, strict=True):
            # In a table this small all indexes cost the same; what counts is that this one holds all that is asked.
            forced = statement.replace("FROM jobs", f"FROM jobs FORCE INDEX ({index})")
            plan = connection.exec_driver_sql(f"EXPLAIN FORMAT=TRADITIONAL {forced}", values).mappings().one()
            assert "Using index" in plan["Extra"].split("; "), statement


def test_each_duty_tells_when_it_was_last_done(store: StoreHarness) -> None:
    store.enqueue()
    rounds = dispatcher(store, FakeBroker(accepts=0), EAGER)
    taken_on = {
        duty: sample("dispatcher_duty_done_timestamp_seconds", duty=duty) for duty in ("publish", "purge", "orphans")
    }
    assert min(taken_on.values()) > time.time() - 60
    rounds.run_round()
    done = {duty: sample("dispatcher_duty_done_timestamp_seconds", duty=duty) for duty in taken_on}
    assert done["publish"] == taken_on["publish"]
    assert done["purge"] > taken_on["purge"]
    assert done["orphans"] > taken_on["orphans"]


def test_an_idle_dispatcher_looks_less_often_than_a_busy_one(store: StoreHarness) -> None:
    rounds = dispatcher(store, FakeBroker())
    assert rounds.run_round() == 0.25
    store.enqueue()
    rounds.run_round()
    assert rounds.run_round() == Pace().busy_seconds


def test_a_full_batch_is_followed_by_the_next_without_a_pause(store: StoreHarness) -> None:
    for _ in range(3):
        store.enqueue()
    rounds = dispatcher(store, FakeBroker(), Pace(batch=2))
    assert [rounds.run_round(), rounds.run_round()] == [0, Pace().busy_seconds]


def test_a_dispatcher_told_to_stop_does_so_at_once_and_leaves_the_rest_unmarked(
    store: StoreHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()

    class StoppingBroker(FakeBroker):
        def publish(self, store: str, job_id: UUID, queue: str) -> None:
            super().publish(store, job_id, queue)
            stop.set()

    monkeypatch.setattr("jobs.dispatcher.rounds.SENT_TOGETHER", 1)
    jobs = [store.enqueue() for _ in range(3)]
    broker = StoppingBroker()
    rounds = StoreDispatcher("api", store.database, broker, Pace(), stop)
    started = time.monotonic()
    rounds.run()
    assert time.monotonic() - started < 2
    assert len(broker.messages) == 1
    assert [store.job(job_id).dispatched_at is not None for job_id in jobs] == [True, False, False]
