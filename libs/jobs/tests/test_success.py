"""The end of most attempts: one statement, asked again until it is answered; the job's row is the record of it."""

from collections.abc import Callable
from typing import Any

import pytest
from common.clock import utc_now
from common.db import Database
from common.testing.statements import statements
from jobs import transitions
from jobs.context import JobContext
from jobs.kinds import job_kind
from jobs.lease import Lease
from jobs.models import JobAttempt
from jobs.registry import Registry
from jobs.runner import Runner
from jobs.states import JobState, Outcome
from jobs.stores import Stores
from jobs.testing import Numbers, StoreHarness
from prometheus_client import REGISTRY
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import OperationalError

on_mysql = pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)


@job_kind("numbers", 1, payload=Numbers)
def nothing(job: JobContext, payload: Numbers) -> None:
    """Nothing."""


def run(store: StoreHarness, job_id: Any) -> Outcome | None:
    return Runner(Stores({"api": "unused"}, lambda url: store.database), Registry(nothing)).run("api", job_id)


Send = Callable[[Connection], bool]


@pytest.fixture
def by_way_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Connection, Send], bool]], None]:
    """Send the first end of a job by this network, and those after it as they are."""
    succeed = transitions.succeed

    def by(network: Callable[[Connection, Send], bool]) -> None:
        def send(connection: Any, lease: Lease, result: Any) -> bool:
            monkeypatch.setattr(transitions, "succeed", succeed)
            return network(connection, lambda via: succeed(via, lease, result))

        monkeypatch.setattr(transitions, "succeed", send)

    return by


def lost() -> OperationalError:
    return OperationalError("UPDATE", {}, Exception(2013, "Lost connection to server during query"))


def unheard(connection: Connection, send: Send) -> bool:
    send(connection)
    raise lost()


def swallowed(connection: Connection, send: Send) -> bool:
    raise lost()


@pytest.mark.parametrize("network", [unheard, swallowed])
def test_an_end_that_nobody_answered_is_the_end(store: StoreHarness, by_way_of: Any, network: Any) -> None:
    by_way_of(network)
    fenced_off = REGISTRY.get_sample_value("fenced_off_total", {"store": "api"})
    job_id = store.enqueue()
    assert run(store, job_id) is Outcome.SUCCEEDED
    assert store.job(job_id).state is JobState.SUCCEEDED
    assert REGISTRY.get_sample_value("fenced_off_total", {"store": "api"}) == fenced_off


@pytest.mark.parametrize("succeeds", [True, False])
def test_the_end_of_another_s_attempt_is_not_taken_for_ours(
    store: StoreHarness, by_way_of: Any, *, succeeds: bool
) -> None:
    job_id = store.enqueue()

    def lose_it_to_another(connection: Connection, send: Send) -> bool:
        store.transition(transitions.renew, Lease(job_id, 1), -1)
        assert store.transition(transitions.expire, Lease(job_id, 1)) is JobState.QUEUED
        other = store.claim(job_id, "w2")
        if succeeds:
            store.transition(transitions.succeed, other, None)
        raise lost()

    by_way_of(lose_it_to_another)
    assert run(store, job_id) is None
    assert [each.outcome for each in store.attempts(job_id)] == [
        Outcome.CRASHED,
        Outcome.SUCCEEDED if succeeds else None,
    ]


def test_the_job_s_row_is_the_record_of_the_attempt_that_succeeded(store: StoreHarness) -> None:
    job_id = store.enqueue()
    first = store.claim(job_id)
    assert store.transition(transitions.release, first)
    assert run(store, job_id) is Outcome.SUCCEEDED
    job = store.job(job_id)
    [released, last] = store.attempts(job_id)
    assert (released.fence, released.outcome) == (1, Outcome.RELEASED)
    assert (last.fence, last.attempt, last.outcome) == (2, 1, Outcome.SUCCEEDED)
    assert (last.worker, last.started_at, last.ended_at) == (job.worker, job.claimed_at, job.finished_at)
    with store.database.read() as session:
        assert session.scalars(select(func.count()).select_from(JobAttempt)).one() == 1


def test_what_a_worker_of_the_release_before_wrote_of_it_is_shown_once(store: StoreHarness) -> None:
    job_id = store.enqueue()
    run(store, job_id)
    then = utc_now()
    with store.database.write() as session:
        attempt = {"attempt": 1, "worker": "old", "started_at": then, "ended_at": then, "outcome": Outcome.SUCCEEDED}
        session.add(JobAttempt(job_id=job_id, fence=1, **attempt))
        session.commit()
    assert [each.worker for each in store.attempts(job_id)] == ["old"]


@on_mysql
def test_a_job_that_does_nothing_takes_three_statements(store: StoreHarness, database: Database) -> None:
    ids = [store.enqueue() for _ in range(2)]
    run(store, ids[0])
    database.warm()
    with statements(database) as counted:
        run(store, ids[1])
    assert counted.kinds == {"select": 1, "update": 2}
