"""From the message to the end of the attempt: what a handler does, and what becomes of its job."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from common.errors import DomainError
from common.ids import new_id
from jobs import transitions
from jobs.context import JobContext
from jobs.errors import PermanentJobError, RetryJobLater
from jobs.keeper import Timing
from jobs.kinds import Kind, job_kind
from jobs.lease import Lease
from jobs.registry import Registry
from jobs.runner import Runner
from jobs.states import JobState, Outcome
from jobs.stores import Stores
from jobs.testing import Numbers, StoreHarness
from prometheus_client import REGISTRY
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as QueuePoolTimeout
from structlog.contextvars import get_contextvars

Handler = Callable[[JobContext, Numbers], BaseModel | None]


class Sum(BaseModel):
    total: int


@pytest.fixture
def run(store: StoreHarness) -> Callable[..., Outcome | None]:
    """Enqueue a job of the kind "numbers" with this handler, or take the one given, and run it once."""

    def run(handler: Handler, job_id: Any = None, timing: Timing | None = None, **limits: Any) -> Outcome | None:
        registry = Registry()
        kind = registry.add(job_kind("numbers", 1, payload=Numbers, **limits)(handler))
        job_id = job_id or store.enqueue(kind=kind)
        store.last_job_id = job_id  # type: ignore[attr-defined] # for the assertions after the run
        runner = Runner(Stores({"api": "unused"}, lambda url: store.database), registry, timing or Timing())
        return runner.run("api", job_id)

    return run


def raising(error: BaseException) -> Handler:
    def handler(job: JobContext, payload: Numbers) -> None:
        raise error

    return handler


def nothing(job: JobContext, payload: Numbers) -> None:
    return None


def last_job(store: StoreHarness) -> Any:
    return store.job(store.last_job_id)  # type: ignore[attr-defined] # set by the run


def count_up_to(steps: int, fail_at: int | None = None, error: BaseException | None = None) -> Handler:
    """A handler that saves a checkpoint in each step, and fails once before step number `fail_at`."""
    pending = [error or RuntimeError("broken")] if fail_at is not None else []

    def handler(job: JobContext, payload: Numbers) -> Sum:
        done = job.checkpoint["done"] if job.checkpoint else 0
        while done < steps:
            if pending and done == fail_at:
                raise pending.pop()
            with job.chunk() as chunk:
                done += 1
                chunk.append_file("ledger.txt", b"%d\n" % done)
                chunk.save({"done": done}, done=done, total=steps, unit="steps")
        return Sum(total=done)

    return handler


def ledger(store: StoreHarness) -> bytes:
    from jobs.files import FileStore

    with store.database.read() as session:
        file = FileStore().find(session, last_job(store).id, "ledger.txt")
    return b"".join(FileStore().read(store.database, file.id)) if file else b""


def test_a_handler_gets_its_payload_and_its_result_is_kept(store: StoreHarness, run: Any) -> None:
    job_id = store.enqueue(count=20)
    assert run(lambda job, payload: Sum(total=payload.count + job.attempt), job_id) is Outcome.SUCCEEDED
    job = last_job(store)
    assert (job.state, job.result, job.error) == (JobState.SUCCEEDED, {"total": 21}, None)


def test_a_handler_without_a_result_succeeds(store: StoreHarness, run: Any) -> None:
    assert run(nothing) is Outcome.SUCCEEDED
    assert last_job(store).result is None


def test_a_second_message_for_the_same_job_does_nothing(store: StoreHarness, run: Any) -> None:
    run(nothing)
    assert run(raising(AssertionError("ran twice")), last_job(store).id) is None
    assert len(store.attempts(last_job(store).id)) == 1


def test_a_message_for_a_job_or_store_that_is_not_there_does_nothing(store: StoreHarness, run: Any) -> None:
    assert run(nothing, new_id()) is None
    assert Runner(Stores({}), Registry()).run("elsewhere", new_id()) is None


def test_an_unexpected_error_is_tried_again_later_without_its_words(store: StoreHarness, run: Any) -> None:
    assert run(raising(ValueError("password=hunter2"))) is Outcome.RETRIED
    job = last_job(store)
    assert (job.state, job.attempt) == (JobState.QUEUED, 1)
    assert job.error == {"code": "handler-error", "message": "The handler failed with ValueError."}
    assert 0 <= (job.run_after - job.started_at).total_seconds() < 2


def test_the_last_attempt_that_fails_leaves_a_dead_job(store: StoreHarness, run: Any) -> None:
    job_id = store.enqueue(kind=job_kind("numbers", 1, payload=Numbers, max_attempts=2))
    assert run(raising(ValueError()), job_id) is Outcome.RETRIED
    store.change(job_id, run_after=last_job(store).created_at)
    assert run(raising(ValueError()), job_id) is Outcome.DEAD
    job = last_job(store)
    assert (job.state, job.attempt, job.error["code"]) == (JobState.DEAD, 2, "handler-error")


@pytest.mark.parametrize(
    "error", [PermanentJobError("The file has no header."), DomainError("The file has no header.")]
)
def test_a_permanent_error_fails_at_once_with_its_words(store: StoreHarness, run: Any, error: Exception) -> None:
    assert run(raising(error)) is Outcome.FAILED
    job = last_job(store)
    assert (job.state, job.error) == (JobState.FAILED, {"code": "refused", "message": "The file has no header."})


def test_a_refusal_that_says_when_to_come_again_is_heeded(store: StoreHarness, run: Any) -> None:
    assert run(raising(RetryJobLater("Too busy.", 120))) is Outcome.RETRIED
    job = last_job(store)
    assert 119 < (job.run_after - job.started_at).total_seconds() < 122
    assert job.error["message"] == "Too busy."


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        ("letters", 1, "This worker has no handler for the kind letters."),
        ("numbers", 3, "This worker runs versions [1] of numbers, not version 3."),
    ],
)
def test_a_kind_or_version_this_worker_does_not_know_is_left_for_one_that_may(
    store: StoreHarness, run: Any, name: str, version: int, message: str
) -> None:
    job_id = store.enqueue(kind=job_kind(name, version, payload=Numbers, max_attempts=2))
    assert run(nothing, job_id) is Outcome.RETRIED
    job = store.job(job_id)
    assert (job.state, job.error) == (JobState.QUEUED, {"code": "unknown-kind", "message": message})
    assert 55 < (job.run_after - job.created_at).total_seconds() < 120
    store.change(job_id, run_after=job.created_at)
    assert run(nothing, job_id) is Outcome.DEAD


def test_a_payload_that_does_not_fit_fails_readably(store: StoreHarness, run: Any) -> None:
    job_id = store.enqueue()
    store.change(job_id, payload={"count": "many"})
    assert run(nothing, job_id) is Outcome.FAILED
    message = last_job(store).error["message"]
    assert message.startswith("The payload does not fit numbers version 1: count: Input should be a valid integer")


def test_a_result_over_64_kib_fails_readably(store: StoreHarness, run: Any) -> None:
    class Essay(BaseModel):
        text: str

    assert run(lambda job, payload: Essay(text="x" * 65_536)) is Outcome.FAILED
    assert last_job(store).error["code"] == "result-too-large"


def test_a_job_that_failed_goes_on_from_its_checkpoint(store: StoreHarness, run: Any) -> None:
    handler = count_up_to(5, fail_at=3)
    assert run(handler) is Outcome.RETRIED
    job = last_job(store)
    assert (job.checkpoint, job.progress) == ({"done": 3}, {"done": 3, "total": 5, "unit": "steps"})
    store.change(job.id, run_after=job.created_at)
    assert run(handler, job.id) is Outcome.SUCCEEDED
    assert ledger(store) == b"1\n2\n3\n4\n5\n"


def test_a_step_that_fails_leaves_nothing_behind(store: StoreHarness, run: Any) -> None:
    def handler(job: JobContext, payload: Numbers) -> None:
        with job.chunk() as chunk:
            chunk.append_file("ledger.txt", b"1\n")
            chunk.save({"done": 1}, done=1, total=None, unit="steps")
            raise RuntimeError

    assert run(handler) is Outcome.RETRIED
    assert (last_job(store).checkpoint, ledger(store)) == (None, b"")


def test_progress_without_chunks_is_shown_and_written_at_most_once_a_second(store: StoreHarness, run: Any) -> None:
    seen = []

    def handler(job: JobContext, payload: Numbers) -> None:
        for done in range(1, 100):
            job.progress(done, 100, "pages")
            seen.append(store.job(job.job_id).progress["done"])  # type: ignore[index] # written by the first call

    started = time.monotonic()
    assert run(handler) is Outcome.SUCCEEDED
    assert last_job(store).progress["unit"] == "pages"
    assert seen[0] == 1
    assert len(set(seen)) <= 1 + (time.monotonic() - started)


def test_a_zombie_shows_no_progress(store: StoreHarness, run: Any) -> None:
    def handler(job: JobContext, payload: Numbers) -> None:
        store.transition(transitions.release, Lease(job.job_id, 1))
        job.progress(1, 2, "pages")

    assert run(handler) is None
    assert last_job(store).progress is None


@pytest.mark.parametrize(("done", "crashes"), [(0, 2), (1, 0)])
def test_only_a_step_that_comes_further_starts_a_new_count_of_crashes(
    store: StoreHarness, run: Any, done: int, crashes: int
) -> None:
    def handler(job: JobContext, payload: Numbers) -> None:
        with job.chunk() as chunk:
            chunk.save({}, done=done, total=None, unit="steps")

    job_id = store.enqueue()
    store.change(job_id, crash_count=2)
    assert run(handler, job_id) is Outcome.SUCCEEDED
    assert store.job(job_id).crash_count == crashes


@pytest.mark.parametrize("saves", [True, False])
def test_a_zombie_cannot_commit_its_step(store: StoreHarness, run: Any, saves: bool) -> None:
    def handler(job: JobContext, payload: Numbers) -> None:
        with job.chunk() as chunk:
            if saves:
                chunk.save({"done": 1}, done=1, total=None, unit="steps")
            chunk.append_file("ledger.txt", b"zombie\n")
            if store.database.dialect_name == "sqlite":
                # One writer at a time: another worker's claim can only come before the step's transaction.
                chunk.session.rollback()
            take_away(job)
            if store.database.dialect_name == "sqlite":
                chunk.append_file("ledger.txt", b"zombie\n")

    def take_away(job: JobContext) -> None:
        store.change(job.job_id, fence=2, worker="another")

    fenced_off = REGISTRY.get_sample_value("fenced_off_total", {"store": "api"}) or 0
    assert run(handler) is None
    job = last_job(store)
    assert (job.state, job.worker, job.checkpoint, ledger(store)) == (JobState.RUNNING, "another", None, b"")
    assert REGISTRY.get_sample_value("fenced_off_total", {"store": "api"}) == fenced_off + 1


@pytest.mark.parametrize("ending", [nothing, raising(ValueError()), raising(DomainError("no"))])
def test_a_zombie_cannot_end_the_job(store: StoreHarness, run: Any, ending: Handler) -> None:
    def handler(job: JobContext, payload: Numbers) -> None:
        store.change(job.job_id, fence=2)
        ending(job, payload)

    assert run(handler) is None
    assert (last_job(store).state, last_job(store).error) == (JobState.RUNNING, None)


@pytest.mark.parametrize("stop", [SystemExit(1), KeyboardInterrupt()])
def test_a_worker_told_to_stop_hands_the_job_back_uncounted(store: StoreHarness, run: Any, stop: BaseException) -> None:
    with pytest.raises(type(stop)):
        run(count_up_to(5, fail_at=2, error=stop))
    job = last_job(store)
    assert (job.state, job.attempt, job.crash_count, job.checkpoint) == (JobState.QUEUED, 0, 0, {"done": 2})
    assert store.attempts(job.id)[0].outcome is Outcome.RELEASED
    assert run(count_up_to(5), job.id) is Outcome.SUCCEEDED


def test_a_stop_between_claim_and_handler_hands_the_job_back_too(store: StoreHarness) -> None:
    class Stopped(Registry):
        def get(self, name: str, version: int) -> Kind:
            raise SystemExit

    job_id = store.enqueue()
    with pytest.raises(SystemExit):
        Runner(Stores({"api": "unused"}, lambda url: store.database), Stopped()).run("api", job_id)
    assert (store.job(job_id).state, store.job(job_id).attempt) == (JobState.QUEUED, 0)


def test_a_worker_about_to_stop_hands_the_job_back_at_its_next_step(store: StoreHarness) -> None:
    stopping = iter([False, False, True])
    registry = Registry()
    registry.add(job_kind("numbers", 1, payload=Numbers)(count_up_to(5)))
    stores = Stores({"api": "unused"}, lambda url: store.database)
    job_id = store.enqueue()
    assert Runner(stores, registry, is_stopping=lambda: next(stopping)).run("api", job_id) is Outcome.RELEASED
    job = store.job(job_id)
    assert (job.state, job.attempt, job.checkpoint) == (JobState.QUEUED, 0, {"done": 2})


def test_a_running_job_notices_a_cancel_at_the_next_heartbeat(store: StoreHarness, run: Any) -> None:
    def handler(job: JobContext, payload: Numbers) -> None:
        store.transition(transitions.request_cancel, job.job_id)
        for _ in range(500):
            time.sleep(0.01)
            try:
                job.check()
            except Exception as error:
                raise AssertionError from error

    started = time.monotonic()
    assert run(handler, timing=Timing(lease_seconds=3, heartbeat_seconds=0.1)) is Outcome.CANCELLED
    assert time.monotonic() - started < 2
    assert last_job(store).state is JobState.CANCELLED


def test_a_cancelled_job_that_fails_meanwhile_is_not_run_again(store: StoreHarness, run: Any) -> None:
    def handler(job: JobContext, payload: Numbers) -> None:
        store.transition(transitions.request_cancel, job.job_id)
        raise ValueError

    assert run(handler) is Outcome.CANCELLED
    assert last_job(store).state is JobState.CANCELLED


def test_the_heartbeat_keeps_the_lease_of_a_long_job(store: StoreHarness, run: Any) -> None:
    def handler(job: JobContext, payload: Numbers) -> None:
        time.sleep(1.2)
        assert store.transition(transitions.expire, Lease(job.job_id, 1)) is None
        job.check()

    assert run(handler, timing=Timing(lease_seconds=1, heartbeat_seconds=0.2)) is Outcome.SUCCEEDED


def test_a_worker_that_cannot_renew_stops_before_its_lease_ends(
    store: StoreHarness, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*args: object) -> None:
        raise OperationalError("UPDATE", {}, Exception("gone"))

    def handler(job: JobContext, payload: Numbers) -> None:
        monkeypatch.setattr(transitions, "renew", unreachable)
        while time.monotonic() < started + 5:
            time.sleep(0.01)
            job.check()

    started = time.monotonic()
    assert run(handler, timing=Timing(lease_seconds=3, heartbeat_seconds=0.1)) is Outcome.RETRIED
    assert time.monotonic() - started < 3
    assert last_job(store).error["code"] == "lease-not-renewed"


def test_a_renewal_that_fails_for_whatever_reason_is_tried_again(
    store: StoreHarness, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew, failures = transitions.renew, [QueuePoolTimeout("no connection left"), RuntimeError("unforeseen")]

    def fail_twice(*args: Any) -> Any:
        if failures:
            raise failures.pop()
        return renew(*args)

    def handler(job: JobContext, payload: Numbers) -> None:
        monkeypatch.setattr(transitions, "renew", fail_twice)
        time.sleep(1.2)
        job.check()

    assert run(handler, timing=Timing(lease_seconds=1, heartbeat_seconds=0.1)) is Outcome.SUCCEEDED


def away(function: Callable[..., Any], times: int) -> Callable[..., Any]:
    """The function, after its database did not answer so many times."""
    failures = [OperationalError("UPDATE", {}, Exception("gone")) for _ in range(times)]

    def call(*args: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return function(*args, **options)

    return call


@pytest.mark.parametrize("name", ["claim", "succeed"])
def test_a_database_that_is_away_for_a_moment_is_asked_again(
    store: StoreHarness, run: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(transitions, name, away(getattr(transitions, name), times=2))
    assert run(nothing) is Outcome.SUCCEEDED


@pytest.mark.parametrize(("name", "state"), [("claim", JobState.QUEUED), ("succeed", JobState.RUNNING)])
def test_a_database_that_stays_away_leaves_the_job_to_the_dispatcher(
    store: StoreHarness, run: Any, monkeypatch: pytest.MonkeyPatch, name: str, state: JobState
) -> None:
    monkeypatch.setattr(transitions, name, away(getattr(transitions, name), times=1000))
    assert run(nothing, timing=Timing(lease_seconds=0.4, heartbeat_seconds=0.1)) is None
    assert last_job(store).state is state


def test_a_handler_past_its_soft_limit_is_stopped_and_tried_again(store: StoreHarness, run: Any) -> None:
    def handler(job: JobContext, payload: Numbers) -> None:
        while True:
            time.sleep(0.01)
            job.check()

    assert run(handler, soft_limit=0.2, hard_limit=30) is Outcome.RETRIED
    assert last_job(store).error["code"] == "time-limit"


def test_a_job_past_its_deadline_fails(store: StoreHarness, run: Any) -> None:
    def handler(job: JobContext, payload: Numbers) -> None:
        while True:
            time.sleep(0.01)
            job.check()

    job_id = store.enqueue(deadline_seconds=0.5)
    assert run(handler, job_id, timing=Timing(lease_seconds=5, heartbeat_seconds=0.1)) is Outcome.FAILED
    assert last_job(store).error["code"] == "deadline-exceeded"


def test_a_deadlock_after_progress_costs_no_attempt(store: StoreHarness, run: Any) -> None:
    if store.database.dialect_name == "mysql":
        import pymysql

        cause: Exception = pymysql.err.OperationalError(1213, "Deadlock found")
    else:
        import sqlite3

        cause = sqlite3.OperationalError("database is locked")
        cause.sqlite_errorcode = sqlite3.SQLITE_BUSY
    deadlock = OperationalError("INSERT", {}, cause)
    assert run(count_up_to(5, fail_at=2, error=deadlock)) is Outcome.RETRIED
    assert (last_job(store).attempt, last_job(store).error["code"]) == (0, "database-busy")
    assert run(raising(deadlock)) is Outcome.RETRIED
    assert last_job(store).attempt == 1


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_a_job_whose_connection_is_killed_goes_on_from_its_checkpoint(store: StoreHarness, run: Any) -> None:
    killed: list[bool] = []

    def handler(job: JobContext, payload: Numbers) -> Sum:
        done = job.checkpoint["done"] if job.checkpoint else 0
        while done < 4:
            with job.chunk() as chunk:
                done += 1
                chunk.append_file("ledger.txt", b"%d\n" % done)
                chunk.save({"done": done}, done=done, total=4, unit="steps")
                if done == 3 and not killed:
                    killed.append(True)
                    chunk.session.execute(text("KILL CONNECTION_ID()"))
        return Sum(total=done)

    assert run(handler) is Outcome.RETRIED
    job = last_job(store)
    assert (job.attempt, job.checkpoint, job.error["code"]) == (0, {"done": 2}, "database-busy")
    store.change(job.id, run_after=job.created_at)
    assert run(handler, job.id) is Outcome.SUCCEEDED
    assert ledger(store) == b"1\n2\n3\n4\n"


def test_a_stored_file_is_read_as_a_stream(store: StoreHarness, run: Any) -> None:
    import io

    from jobs.files import FileStore

    with store.database.write() as session:
        file = FileStore(chunk_bytes=10).save(
            session,
            owner_id=store.owner_id,
            name="in.csv",
            content_type="text/csv",
            stream=io.BytesIO(b"name\n" * 10),
            max_bytes=100,
        )
        session.commit()
    lines: list[bytes] = []
    assert run(lambda job, payload: lines.extend(job.open_file(file.id))) is Outcome.SUCCEEDED
    assert lines == [b"name\n"] * 10


@pytest.mark.parametrize(("traceparent", "trace_id"), [("00-4bf9-00f0-01", "4bf9"), ("nonsense", None), (None, None)])
def test_log_lines_of_a_job_hold_its_id_and_the_trace_of_its_request(
    store: StoreHarness, run: Any, traceparent: str | None, trace_id: str | None
) -> None:
    seen: dict[str, Any] = {}
    run(lambda job, payload: seen.update(get_contextvars()), store.enqueue(traceparent=traceparent))
    assert (seen["job_id"], seen["store"], seen.get("trace_id")) == (str(last_job(store).id), "api", trace_id)
    assert get_contextvars() == {}


def test_outcomes_and_times_are_counted(store: StoreHarness, run: Any) -> None:
    labels = {"store": "api", "kind": "numbers"}

    def sample(name: str, **more: str) -> float:
        return REGISTRY.get_sample_value(name, labels | more) or 0

    names = ("job_attempts_total", "job_wait_seconds_count", "job_run_seconds_count", "job_end_to_end_seconds_count")
    before = [sample(name) for name in names], sample("job_outcomes_total", outcome="succeeded")
    run(nothing)
    after = [sample(name) for name in names], sample("job_outcomes_total", outcome="succeeded")
    assert after == ([value + 1 for value in before[0]], before[1] + 1)
