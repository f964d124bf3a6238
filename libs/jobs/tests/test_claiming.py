"""A claim that nobody answered: found again if it was written, and nobody else's is taken for it."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from jobs import transitions
from jobs.claiming import Claim, claim_job, was_claimed
from jobs.lease import Lease
from jobs.registry import Registry
from jobs.runner import Runner
from jobs.states import JobState, Outcome
from jobs.stores import Stores
from jobs.testing import StoreHarness
from sqlalchemy import Update
from sqlalchemy.exc import OperationalError

Sent = tuple[Update, dict[str, Any]]
Network = Callable[[list[Sent], Callable[[], bool]], bool]
"""Gets the UPDATEs of claims so far, and the function that sends the last of them."""


@pytest.fixture
def by_way_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Network], None]:
    """Send claims by this network."""

    def by(network: Network) -> None:
        happened, sent = transitions._happened, list[Sent]()

        def send(session: Any, statement: Update, *parameters: Any) -> bool:
            if statement is not transitions._CLAIM:
                return happened(session, statement, *parameters)
            sent.append((statement, *parameters))
            return network(sent, lambda: happened(session, statement, *parameters))

        monkeypatch.setattr(transitions, "_happened", send)

    return by


def claim(store: StoreHarness, job_id: UUID, worker: str = "w1") -> Claim | None:
    return claim_job(store.database, job_id, worker, 30)


def unheard(sent: list[Sent], send: Callable[[], bool]) -> bool:
    """It arrives, and the answer to the first does not."""
    answer = send()
    if len(sent) == 1:
        raise lost()
    return answer


def lost() -> OperationalError:
    return OperationalError("UPDATE", {}, Exception(2013, "Lost connection to MySQL server during query"))


def test_a_claim_that_was_written_and_not_answered_is_gone_on_with(store: StoreHarness, by_way_of: Any) -> None:
    by_way_of(unheard)
    job_id = store.enqueue()
    found = claim(store, job_id)
    job = store.job(job_id)
    assert found
    assert (job.state, job.fence, job.attempt, job.crash_count) == (JobState.RUNNING, 1, 1, 0)
    assert (found.job.fence, found.job.attempt, found.job.claimed_at) == (1, 1, job.claimed_at)


def test_its_job_is_run_to_the_end(store: StoreHarness, by_way_of: Any) -> None:
    by_way_of(unheard)
    runner = Runner(Stores({"api": "unused"}, lambda url: store.database), Registry())
    assert runner.run("api", store.enqueue()) is Outcome.RETRIED  # as nobody knows its kind


def test_a_claim_that_did_not_arrive_is_sent_again(store: StoreHarness, by_way_of: Any) -> None:
    def swallow(sent: list[Sent], send: Callable[[], bool]) -> bool:
        if len(sent) == 1:
            raise lost()
        return send()

    by_way_of(swallow)
    job_id = store.enqueue()
    assert claim(store, job_id)
    assert (store.job(job_id).fence, store.job(job_id).attempt) == (1, 1)


def test_a_claim_that_arrives_while_it_is_asked_again_is_gone_on_with(store: StoreHarness, by_way_of: Any) -> None:
    """The server waited longer for a lock than the client for the answer."""

    def delay(sent: list[Sent], send: Callable[[], bool]) -> bool:
        if len(sent) == 1:
            raise lost()
        with store.database.statements() as late:
            late.execute(*sent[0])
        return send()

    by_way_of(delay)
    job_id = store.enqueue()
    found = claim(store, job_id)
    assert found
    assert (store.job(job_id).fence, store.job(job_id).claimed_at) == (1, found.job.claimed_at)


def test_a_claim_whose_lease_ran_out_before_it_was_found_is_nobody_s(store: StoreHarness, by_way_of: Any) -> None:
    job_id = store.enqueue()

    def lose_it_to_another(sent: list[Sent], send: Callable[[], bool]) -> bool:
        if len(sent) > 1:
            return send()
        assert send()
        lease = Lease(job_id, 1)
        store.transition(transitions.renew, lease, -1)
        assert store.transition(transitions.expire, lease) is JobState.QUEUED
        assert store.claim(job_id, "w2") == Lease(job_id, 2)
        raise lost()

    by_way_of(lose_it_to_another)
    assert claim(store, job_id) is None
    assert store.job(job_id).worker == "w2"


@pytest.mark.parametrize("worker", ["w1", "w2"])
def test_a_job_that_was_claimed_before_is_not_taken_for_ours(store: StoreHarness, worker: str) -> None:
    """Not even an earlier claim of this worker's, whose end could not be written."""
    job_id = store.enqueue()
    assert claim(store, job_id, worker)
    assert claim(store, job_id, "w1") is None


@pytest.mark.parametrize("column", ["worker", "claimed_at", "fence", "state"])
def test_a_row_that_differs_in_anything_a_claim_writes_is_another_s(store: StoreHarness, column: str) -> None:
    job_id = store.enqueue()
    found = claim(store, job_id)
    assert found
    job = store.job(job_id)
    changed = {"worker": "w2", "claimed_at": job.created_at, "fence": 2, "state": JobState.QUEUED}
    with store.database.statements() as session:
        assert was_claimed(session, found.job)
    store.change(job_id, **{column: changed[column]})
    with store.database.statements() as session:
        assert not was_claimed(session, found.job)
