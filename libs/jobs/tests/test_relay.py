"""A job that puts a job into another store: there is exactly one, whatever happens to the first."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, NoReturn
from uuid import UUID

import pytest
from common.db import Database
from common.db.sessions import WriteSession
from common.ids import new_id
from jobs import relay, transitions
from jobs.context import JobContext
from jobs.effects import list_effects
from jobs.errors import OutcomeStillUnknown, PermanentJobError
from jobs.kinds import job_kind
from jobs.models import Base, Job, JobEffect
from jobs.registry import Registry
from jobs.runner import Runner
from jobs.states import EffectState, Outcome
from jobs.stores import Stores
from jobs.testing import Numbers, StoreHarness
from jobs.use_cases.operating import redrive_job
from sqlalchemy import MetaData, delete, update
from sqlalchemy.exc import OperationalError

ERASE = job_kind("contacts.erase", 2, payload=Numbers, queue="bulk")
CLOSE = job_kind("accounts.close", 1, payload=Numbers)


@pytest.fixture
def other(make_database: Callable[[MetaData], Database]) -> StoreHarness:
    return StoreHarness(make_database(Base.metadata))


@pytest.fixture
def run(store: StoreHarness, other: StoreHarness) -> Callable[..., Outcome | None]:
    databases = {"auth": store.database, "api": other.database}

    def run(handler: Any, job_id: Any) -> Outcome | None:
        store.change(job_id, run_after=store.job(job_id).created_at)
        stores = Stores({name: name for name in databases}, lambda url: databases[url])
        return Runner(stores, Registry(CLOSE(handler))).run("auth", job_id)

    return run


def test_each_attempt_finds_the_job_the_first_one_put_there(
    store: StoreHarness, other: StoreHarness, run: Callable[..., Outcome | None]
) -> None:
    ids, faults = [], [RuntimeError(), RuntimeError()]

    def close(job: JobContext, payload: Numbers) -> None:
        ids.append(job.relay("api", ERASE, Numbers(count=payload.count)))
        if faults:
            raise faults.pop()

    job_id = store.enqueue(kind=CLOSE, count=7, traceparent="00-a-b-01")
    assert [run(close, job_id) for _ in range(3)] == [Outcome.RETRIED, Outcome.RETRIED, Outcome.SUCCEEDED]
    [relayed] = other.ids()
    assert ids == [relayed] * 3
    job = other.job(relayed)
    assert (job.kind, job.kind_version, job.queue, job.payload) == ("contacts.erase", 2, "bulk", {"count": 7})
    assert (job.owner_id, job.idempotency_key, job.traceparent) == (store.owner_id, f"auth:{job_id}", "00-a-b-01")


class Closing:
    """A handler that relays once and then fails as long as it has faults."""

    def __init__(self, *faults: Exception, **options: Any) -> None:
        self.faults = list(faults)
        self.options = options
        self.ids: list[UUID] = []

    def __call__(self, job: JobContext, payload: Numbers) -> None:
        self.ids.append(job.relay("api", ERASE, payload, **self.options))
        if self.faults:
            raise self.faults.pop(0)


def forget(store: StoreHarness, job_id: UUID) -> None:
    """As if purged."""
    with store.database.write() as session:
        session.execute(delete(Job).where(Job.id == job_id))
        session.commit()


def redrive(store: StoreHarness, job_id: UUID, open_effects: Any = "refuse") -> None:
    with store.database.write() as session:
        redrive_job(session, job_id, by="ann", open_effects=open_effects)


def effects_of(store: StoreHarness, job_id: UUID) -> list[JobEffect]:
    with store.database.read() as session:
        return list_effects(session, job_id)


def age(store: StoreHarness, job_id: UUID, days: float) -> None:
    [effect] = effects_of(store, job_id)
    with store.database.write() as session:
        session.execute(update(JobEffect).values(intended_at=effect.intended_at - timedelta(days=days)))
        session.commit()


@contextmanager
def dying_after_the_other_commit(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def die(*_: object) -> None:
        raise ConnectionAbortedError

    with monkeypatch.context() as patch:
        patch.setattr("jobs.effects.finish", die)
        yield


def test_a_job_redriven_after_the_one_it_put_there_was_purged_makes_no_second(
    store: StoreHarness, other: StoreHarness, run: Callable[..., Outcome | None]
) -> None:
    close = Closing(PermanentJobError("no"))
    job_id = store.enqueue(kind=CLOSE)
    assert run(close, job_id) is Outcome.FAILED
    forget(other, close.ids[0])
    redrive(store, job_id)
    assert run(close, job_id) is Outcome.SUCCEEDED
    assert (close.ids, other.ids()) == ([close.ids[0]] * 2, [])
    [effect] = effects_of(store, job_id)
    assert (effect.step, effect.state) == ("relay:api:contacts.erase", EffectState.DONE)
    assert effect.external_id == str(close.ids[0])


def test_a_worker_that_dies_between_the_two_commits_leaves_one_job(
    store: StoreHarness, other: StoreHarness, run: Callable[..., Outcome | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    close = Closing()
    job_id = store.enqueue(kind=CLOSE)
    with dying_after_the_other_commit(monkeypatch):
        assert run(close, job_id) is Outcome.RETRIED
    assert [effect.state for effect in effects_of(store, job_id)] == [EffectState.INTENT]
    relayed = other.ids()
    assert run(close, job_id) is Outcome.SUCCEEDED
    assert close.ids == other.ids() == relayed
    assert [effect.state for effect in effects_of(store, job_id)] == [EffectState.DONE]


@pytest.mark.parametrize("settled", [("done", 0), ("repeat", 1)])
def test_what_was_left_open_so_long_that_it_may_have_been_purged_is_asked_of_an_operator(
    store: StoreHarness,
    other: StoreHarness,
    run: Callable[..., Outcome | None],
    monkeypatch: pytest.MonkeyPatch,
    settled: tuple[str, int],
) -> None:
    settled_as, made = settled
    close = Closing()
    job_id = store.enqueue(kind=CLOSE)
    with dying_after_the_other_commit(monkeypatch):
        run(close, job_id)
    [relayed] = other.ids()
    forget(other, relayed)
    age(store, job_id, days=1)
    assert run(close, job_id) is Outcome.FAILED
    assert (store.job(job_id).error or {})["code"] == "unknown-outcome"
    assert other.ids() == []
    with pytest.raises(OutcomeStillUnknown):
        redrive(store, job_id)
    redrive(store, job_id, settled_as)
    assert run(close, job_id) is Outcome.SUCCEEDED
    assert len(other.ids()) == made
    assert close.ids == (other.ids() or [relayed])


def test_a_job_that_is_known_to_be_there_is_no_progress(
    store: StoreHarness, other: StoreHarness, run: Callable[..., Outcome | None]
) -> None:
    """Else each attempt had made some, and a busy database would cost none, for ever."""
    close, job_id = Closing(*(_deadlock() for _ in range(3))), store.enqueue(kind=CLOSE)
    attempts = []
    for _ in close.faults.copy():
        assert run(close, job_id) is Outcome.RETRIED
        attempts.append(store.job(job_id).attempt)
    assert attempts == [0, 1, 2]
    assert close.ids == other.ids() * 3


def _deadlock() -> OperationalError:
    return OperationalError("UPDATE", {}, Exception(1213, "Deadlock found"))


def test_what_was_left_open_and_is_there_is_found_however_long_ago(
    store: StoreHarness, other: StoreHarness, run: Callable[..., Outcome | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    close = Closing()
    job_id = store.enqueue(kind=CLOSE)
    with dying_after_the_other_commit(monkeypatch):
        run(close, job_id)
    age(store, job_id, days=100)
    assert run(close, job_id) is Outcome.SUCCEEDED
    assert close.ids == other.ids()


def test_a_worker_frozen_for_a_day_before_it_puts_the_job_there_does_not(
    store: StoreHarness, other: StoreHarness, run: Callable[..., Outcome | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    intend = relay._intend

    def freeze(session: Any, lease: Any, step: str) -> Any:
        intent = intend(session, lease, step)
        return replace(intent, intended_at=intent.intended_at - timedelta(days=1))

    monkeypatch.setattr(relay, "_intend", freeze)
    assert run(Closing(), store.enqueue(kind=CLOSE)) is Outcome.FAILED
    assert other.ids() == []


def test_a_worker_that_was_taken_for_dead_makes_no_second_job(
    store: StoreHarness, other: StoreHarness, run: Callable[..., Outcome | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    intend, close, job_id = relay._intend, Closing(), store.enqueue(kind=CLOSE)

    def lose_the_lease(session: Any, lease: Any, step: str) -> Any:
        intent = intend(session, lease, step)
        session.commit()
        monkeypatch.undo()
        store.transition(transitions.renew, lease, -1)
        store.transition(transitions.expire, lease)
        assert run(close, job_id) is Outcome.SUCCEEDED
        return intent

    monkeypatch.setattr(relay, "_intend", lose_the_lease)
    assert run(Closing(), job_id) is None
    assert close.ids == other.ids()
    assert len(close.ids) == 1


@pytest.mark.parametrize("fault", ["unreachable", "refused"])
def test_what_was_certainly_not_put_there_leaves_nothing_open(
    store: StoreHarness,
    other: StoreHarness,
    run: Callable[..., Outcome | None],
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    close, job_id = Closing(max_unfinished=1), store.enqueue(kind=CLOSE)
    if fault == "refused":
        other.owner_id = store.owner_id
        forgotten = other.enqueue()
        assert run(close, job_id) is Outcome.RETRIED
        forget(other, forgotten)
    else:
        with monkeypatch.context() as patch:
            patch.setattr(other.database, "write", _unreachable)
            assert run(close, job_id) is Outcome.RETRIED
    assert effects_of(store, job_id) == []
    assert run(close, job_id) is Outcome.SUCCEEDED
    assert close.ids == other.ids()


def _unreachable() -> NoReturn:
    raise OperationalError("BEGIN", {}, Exception("connection refused"))


def test_a_commit_nobody_answered_is_found_by_the_next_attempt(
    store: StoreHarness, other: StoreHarness, run: Callable[..., Outcome | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    close, job_id, commit = Closing(), store.enqueue(kind=CLOSE), WriteSession.commit

    def commit_unheard(session: WriteSession) -> None:
        commit(session)
        if session.get_bind() is other.database.engine:
            raise OperationalError("COMMIT", {}, Exception("connection lost"))

    with monkeypatch.context() as patch:
        patch.setattr(WriteSession, "commit", commit_unheard)
        assert run(close, job_id) is Outcome.RETRIED
    assert run(close, job_id) is Outcome.SUCCEEDED
    assert close.ids == other.ids()


def test_a_job_put_there_by_a_release_that_kept_no_intents_is_found_by_its_key(
    store: StoreHarness, other: StoreHarness, run: Callable[..., Outcome | None]
) -> None:
    close, job_id = Closing(), store.enqueue(kind=CLOSE)
    other.owner_id = store.owner_id
    there = other.enqueue(kind=ERASE, idempotency_key=f"auth:{job_id}")
    assert run(close, job_id) is Outcome.SUCCEEDED
    assert close.ids == other.ids() == [there]


def test_the_names_of_steps_are_limited_and_apart_from_those_of_effects(
    store: StoreHarness, run: Callable[..., Outcome | None]
) -> None:
    def close(job: JobContext, payload: Numbers) -> None:
        with pytest.raises(ValueError, match="more than 64"):
            job.relay("api", ERASE, payload, step="x" * 64)
        with pytest.raises(ValueError, match="does not begin"):
            job.effect("relay:api:contacts.erase", lambda key: key)

    closing = job_kind("accounts.close", 1, payload=Numbers, effects="at_least_once")
    job_id = store.enqueue(kind=closing, idempotency_key="1")
    stores = Stores({"auth": "auth"}, lambda url: store.database)
    assert Runner(stores, Registry(closing(close))).run("auth", job_id) is Outcome.SUCCEEDED


def test_one_job_may_relay_several(
    store: StoreHarness, other: StoreHarness, run: Callable[..., Outcome | None]
) -> None:
    def close(job: JobContext, payload: Numbers) -> None:
        for step in ("contacts", "exports", "contacts"):
            job.relay("api", ERASE, Numbers(), step=step, owner_id=new_id() if step == "exports" else job.owner_id)

    assert run(close, store.enqueue(kind=CLOSE)) is Outcome.SUCCEEDED
    assert len(other.ids()) == 2


def test_a_store_that_is_not_served_here_fails_readably(
    store: StoreHarness, run: Callable[..., Outcome | None]
) -> None:
    def close(job: JobContext, payload: Numbers) -> None:
        job.relay("mail", ERASE, Numbers())

    job_id = store.enqueue(kind=CLOSE)
    assert run(close, job_id) is Outcome.FAILED
    assert store.job(job_id).error == {"code": "refused", "message": "This worker has no job store named 'mail'."}
