"""The jobs of schedules: one for each time, whoever makes them, and whatever kills them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from common.clock import utc_now
from jobs import transitions
from jobs.dispatcher import scheduling
from jobs.dispatcher.scheduling import Scheduler
from jobs.kinds import job_kind
from jobs.models import Job, ScheduledRun
from jobs.schedules import SYSTEM_OWNER, Schedule
from jobs.states import JobState
from jobs.testing import Numbers, StoreHarness
from prometheus_client import REGISTRY
from sqlalchemy import select, update

KIND = job_kind("numbers", 1, payload=Numbers)


def minutely(**options: Any) -> Schedule:
    return Schedule("minutely", "api", "* * * * *", KIND, options.pop("payload", Numbers()), **options)


def round_of(store: StoreHarness, *schedules: Schedule) -> None:
    Scheduler("api", store.database, schedules).make_jobs()


def runs(store: StoreHarness) -> list[ScheduledRun]:
    with store.database.read() as session:
        return list(session.scalars(select(ScheduledRun).order_by(ScheduledRun.scheduled_for)))


def jobs(store: StoreHarness) -> list[Job]:
    with store.database.read() as session:
        return list(session.scalars(select(Job).order_by(Job.idempotency_key)))


def wind_back(store: StoreHarness, **span: float) -> None:
    """Make all that was scheduled that much older: the same as waiting."""
    with store.database.write() as session:
        for run in session.scalars(select(ScheduledRun).order_by(ScheduledRun.scheduled_for)):
            older = run.scheduled_for - timedelta(**span)
            session.execute(
                update(ScheduledRun)
                .where(ScheduledRun.scheduled_for == run.scheduled_for)
                .values(scheduled_for=older)
                .execution_options(synchronize_session=False)
            )
        session.commit()


@pytest.fixture(autouse=True)
def half_past(monkeypatch: pytest.MonkeyPatch) -> None:
    """No minute begins while a test runs: for the scheduler the one it began in is half over all the time."""
    now, look = utc_now().replace(second=30, microsecond=0), scheduling._last_runs
    monkeypatch.setattr(scheduling, "_last_runs", lambda session: (look(session)[0], now))


@pytest.fixture
def known(store: StoreHarness) -> Callable[..., Schedule]:
    """A schedule that was first seen so long ago."""

    def make(minutes: float, **options: Any) -> Schedule:
        schedule = minutely(**options)
        round_of(store, schedule)
        wind_back(store, minutes=minutes)
        return schedule

    return make


def test_a_schedule_that_is_new_starts_from_now_on(store: StoreHarness) -> None:
    round_of(store, minutely())
    assert jobs(store) == []
    assert [run.job_id for run in runs(store)] == [None]
    round_of(store, minutely(catch_up="all"))
    assert len(runs(store)) == 1


def test_a_time_that_comes_gets_one_job_of_the_system(store: StoreHarness, known: Any) -> None:
    schedule = known(1)
    for _ in range(3):
        round_of(store, schedule)
    [job], [_, run] = jobs(store), runs(store)
    assert run.job_id == job.id
    assert (job.owner_id, job.kind, job.state) == (SYSTEM_OWNER, "numbers", JobState.QUEUED)
    assert job.idempotency_key == f"schedule:minutely:{run.scheduled_for.isoformat()}"
    assert run.scheduled_for.second == run.scheduled_for.microsecond == 0


@pytest.mark.parametrize(("catch_up", "count"), [("all", 3), ("last", 1), ("none", 1)])
def test_times_that_passed_meanwhile_are_made_up_for_as_declared(
    store: StoreHarness, known: Any, catch_up: str, count: int
) -> None:
    schedule = known(3, catch_up=catch_up, overlap="allow")
    round_of(store, schedule)
    assert len(jobs(store)) == count
    round_of(store, schedule)
    assert len(jobs(store)) == count


def test_a_time_that_was_missed_is_not_looked_at_again(store: StoreHarness) -> None:
    yearly = Schedule("yearly", "api", "0 0 1 1 *", KIND, Numbers(), catch_up="none")
    round_of(store, yearly)
    wind_back(store, days=366)
    round_of(store, yearly)
    assert jobs(store) == []
    assert len(runs(store)) == 2


def test_while_its_last_job_is_unfinished_a_schedule_may_leave_out_times(store: StoreHarness, known: Any) -> None:
    schedule = known(3, catch_up="all", overlap="skip")
    round_of(store, schedule)
    [job] = jobs(store)
    wind_back(store, minutes=1)
    round_of(store, schedule)
    assert len(jobs(store)) == 1
    lease = store.claim(job.id)
    assert lease is not None
    store.transition(transitions.succeed, lease, None)
    wind_back(store, minutes=1)
    round_of(store, schedule)
    assert len(jobs(store)) == 2


def test_the_payload_may_depend_on_the_time(store: StoreHarness, known: Any) -> None:
    def payload(time: datetime) -> Numbers:
        return Numbers(count=int(time.timestamp()))

    round_of(store, known(1, payload=payload))
    [job], [_, run] = jobs(store), runs(store)
    assert job.payload == {"count": int(run.scheduled_for.timestamp())}


def test_a_schedule_whose_payload_cannot_be_made_holds_up_no_other(store: StoreHarness) -> None:
    def no_payload(time: datetime) -> Numbers:
        raise KeyError(time)

    both = Schedule("broken", "api", "* * * * *", KIND, no_payload), minutely()
    round_of(store, *both)
    wind_back(store, minutes=1)
    round_of(store, *both)
    [job] = jobs(store)
    assert (job.idempotency_key or "").startswith("schedule:minutely:")


def test_any_number_of_dispatchers_make_one_job_for_a_time(store: StoreHarness, known: Any) -> None:
    schedule = known(5, catch_up="all", overlap="allow")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: round_of(store, schedule), range(8)))
    made = jobs(store)
    assert len(made) in {5, 6}  # a minute may have begun meanwhile
    assert len({job.idempotency_key for job in made}) == len(made)
    assert {run.job_id for run in runs(store)} - {None} == {job.id for job in made}


@pytest.mark.parametrize("killed_at", range(1, 7))
def test_killed_after_any_write_nothing_is_lost_or_doubled(
    store: StoreHarness, known: Any, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    """Three times are due, each makes two writes; a process that dies between them leaves what it committed."""
    schedule = known(3, catch_up="all", overlap="allow")
    writes = 0

    class Killed(BaseException):
        """Nothing after it runs, as with SIGKILL."""

    def dying(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            nonlocal writes
            result = function(*args)
            writes += 1
            if writes == killed_at:
                raise Killed
            return result

        return call

    with monkeypatch.context() as patch:
        patch.setattr(scheduling, "_make_job", dying(scheduling._make_job))
        patch.setattr(scheduling, "_write_run", dying(scheduling._write_run))
        with pytest.raises(Killed):
            round_of(store, schedule)
    assert jobs(store) == []
    round_of(store, schedule)
    assert len(jobs(store)) in {3, 4}  # a minute may have begun meanwhile
    assert {run.job_id for run in runs(store)} - {None} == {job.id for job in jobs(store)}


def test_a_schedule_of_another_store_is_not_this_one_s(store: StoreHarness) -> None:
    round_of(store, Schedule("elsewhere", "auth", "* * * * *", KIND, Numbers()))
    assert runs(store) == []


def test_how_late_a_schedule_is_can_be_seen(store: StoreHarness, known: Any) -> None:
    labels = {"store": "api", "schedule": "minutely"}
    schedule = known(10)
    round_of(store, schedule)
    assert 500 < (REGISTRY.get_sample_value("schedule_late_seconds", labels) or 0) < 640
    round_of(store, schedule)
    assert (REGISTRY.get_sample_value("schedule_late_seconds", labels) or 0) < 60


def test_what_passed_a_month_ago_is_forgotten_but_never_the_last(store: StoreHarness, known: Any) -> None:
    schedule = known(3, catch_up="all", overlap="allow")
    round_of(store, schedule)
    wind_back(store, days=40)
    before = runs(store)
    Scheduler("api", store.database, [schedule]).prune()
    assert [run.scheduled_for for run in runs(store)] == [before[-1].scheduled_for]
