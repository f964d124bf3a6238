"""Each transition, and beside it the states and fences from which it is refused."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from common.ids import new_id
from jobs import transitions
from jobs.lease import Lease
from jobs.states import JobState, Outcome
from jobs.testing import StoreHarness

ERROR = {"code": "handler-error", "message": "It broke."}

ENDINGS: dict[str, tuple[Any, ...]] = {
    "succeed": (transitions.succeed, {"rows": 1}),
    "fail": (transitions.fail, ERROR),
    "die": (transitions.die, ERROR),
    "retry": (transitions.retry, ERROR, 5),
    "release": (transitions.release,),
}


def end(store: StoreHarness, name: str, lease: Lease) -> Any:
    function, *args = ENDINGS[name]
    return store.transition(function, lease, *args)


def silence(store: StoreHarness, lease: Lease) -> Lease:
    store.transition(transitions.renew, lease, -1)
    return lease


def test_an_enqueued_job_is_queued_and_due_with_times_of_the_database(store: StoreHarness) -> None:
    job = store.job(store.enqueue())
    assert (job.state, job.attempt, job.fence, job.dispatched_at) == (JobState.QUEUED, 0, 0, None)
    assert job.run_after == job.created_at
    assert job.created_at.tzinfo is not None


def test_a_claim_gives_a_lease_a_new_fence_and_an_open_attempt(store: StoreHarness) -> None:
    job_id = store.enqueue()
    assert store.claim(job_id, worker="here") == Lease(job_id, 1)
    job = store.job(job_id)
    assert (job.state, job.attempt, job.worker) == (JobState.RUNNING, 1, "here")
    assert job.started_at is not None
    assert job.lease_until is not None
    assert 29 < (job.lease_until - job.started_at).total_seconds() < 31
    [attempt] = store.attempts(job_id)
    assert (attempt.fence, attempt.attempt, attempt.ended_at, attempt.outcome) == (1, 1, None, None)


def test_a_job_is_claimed_once(store: StoreHarness) -> None:
    job_id = store.enqueue()
    assert store.claim(job_id)
    assert store.claim(job_id) is None
    assert len(store.attempts(job_id)) == 1


def test_of_claimers_at_the_same_time_one_wins(store: StoreHarness) -> None:
    jobs = [store.enqueue() for _ in range(10)]
    for job_id in jobs:
        with ThreadPoolExecutor(4) as pool:
            leases = list(pool.map(lambda n, job_id=job_id: store.claim(job_id, f"w{n}"), range(4)))
        assert len([lease for lease in leases if lease]) == 1
        assert store.job(job_id).attempt == 1


def test_a_job_is_not_claimed_before_it_is_due(store: StoreHarness) -> None:
    job_id = store.enqueue(delay_seconds=60)
    assert store.claim(job_id) is None
    assert store.job(job_id).state is JobState.QUEUED


def test_an_unknown_job_is_not_claimed(store: StoreHarness) -> None:
    assert store.claim(new_id()) is None


@pytest.mark.parametrize(
    ("name", "state", "outcome"),
    [
        ("succeed", JobState.SUCCEEDED, Outcome.SUCCEEDED),
        ("fail", JobState.FAILED, Outcome.FAILED),
        ("die", JobState.DEAD, Outcome.DEAD),
        ("retry", JobState.QUEUED, Outcome.RETRIED),
        ("release", JobState.QUEUED, Outcome.RELEASED),
    ],
)
def test_a_running_job_ends_and_closes_its_attempt(
    store: StoreHarness, name: str, state: JobState, outcome: Outcome
) -> None:
    lease = store.start()
    assert end(store, name, lease)
    job = store.job(lease.job_id)
    assert (job.state, job.lease_until) == (state, None)
    assert (job.finished_at is not None) is state.is_final
    [attempt] = store.attempts(lease.job_id)
    assert attempt.outcome is outcome
    assert attempt.ended_at is not None
    assert attempt.ended_at >= attempt.started_at


@pytest.mark.parametrize("name", ENDINGS)
def test_nothing_ends_a_job_twice(store: StoreHarness, name: str) -> None:
    lease = store.start()
    assert end(store, "succeed", lease)
    assert not end(store, name, lease)
    job = store.job(lease.job_id)
    assert (job.state, job.result, job.error) == (JobState.SUCCEEDED, {"rows": 1}, None)
    assert store.attempts(lease.job_id)[0].outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("name", [*ENDINGS, "stop_cancelled", "renew", "save_progress", "guard", "expire"])
def test_a_zombie_with_an_old_fence_writes_nothing(store: StoreHarness, name: str) -> None:
    old = store.start()
    assert store.transition(transitions.release, old)
    new = store.claim(old.job_id)
    assert new == Lease(old.job_id, 2)
    store.transition(transitions.request_cancel, old.job_id)
    store.transition(transitions.renew, new, -1 if name == "expire" else 30)
    before = vars(store.job(old.job_id))
    actions = ENDINGS | {
        "stop_cancelled": (transitions.stop_cancelled,),
        "renew": (transitions.renew, 30),
        "save_progress": (_save_progress,),
        "guard": (transitions.guard,),
        "expire": (transitions.expire,),
    }
    function, *args = actions[name]
    assert not store.transition(function, old, *args)
    after = vars(store.job(old.job_id))
    assert {k: v for k, v in after.items() if k[0] != "_"} == {k: v for k, v in before.items() if k[0] != "_"}
    assert [attempt.ended_at is None for attempt in store.attempts(old.job_id)] == [False, True]


def _save_progress(session: Any, lease: Lease) -> bool:
    return transitions.save_progress(session, lease, {"checkpoint": {"row": 9}}, advanced=True)


@pytest.mark.parametrize("name", ENDINGS)
def test_a_queued_job_cannot_be_ended_by_a_worker(store: StoreHarness, name: str) -> None:
    job_id = store.enqueue()
    assert not end(store, name, Lease(job_id, 0))
    assert store.job(job_id).state is JobState.QUEUED


def test_a_retry_waits_is_published_again_and_keeps_the_error(store: StoreHarness) -> None:
    lease = store.start()
    assert store.transition(transitions.retry, lease, ERROR, 60)
    job = store.job(lease.job_id)
    assert (job.attempt, job.error, job.dispatched_at) == (1, ERROR, None)
    assert 59 < (job.run_after - store.attempts(job.id)[0].ended_at).total_seconds() < 61  # type: ignore[operator] # it has ended
    assert store.claim(lease.job_id) is None


def test_a_retry_that_does_not_count_gives_the_attempt_back(store: StoreHarness) -> None:
    lease = store.start()
    assert store.transition(transitions.retry, lease, ERROR, 0, counted=False)
    assert store.job(lease.job_id).attempt == 0


def test_a_release_is_due_at_once_and_gives_the_attempt_back(store: StoreHarness) -> None:
    lease = store.start()
    assert store.transition(transitions.release, lease)
    assert store.job(lease.job_id).attempt == 0
    assert store.claim(lease.job_id) == Lease(lease.job_id, 2)


@pytest.mark.parametrize("name", ["retry", "release"])
def test_a_job_asked_to_stop_is_not_queued_again(store: StoreHarness, name: str) -> None:
    lease = store.start()
    assert store.transition(transitions.request_cancel, lease.job_id)
    assert not end(store, name, lease)
    assert store.job(lease.job_id).state is JobState.RUNNING
    assert store.transition(transitions.stop_cancelled, lease)
    assert store.job(lease.job_id).state is JobState.CANCELLED


def test_a_job_nobody_cancelled_cannot_end_as_cancelled(store: StoreHarness) -> None:
    lease = store.start()
    assert not store.transition(transitions.stop_cancelled, lease)
    assert store.job(lease.job_id).state is JobState.RUNNING


def test_a_job_may_succeed_though_it_was_asked_to_stop(store: StoreHarness) -> None:
    lease = store.start()
    store.transition(transitions.request_cancel, lease.job_id)
    assert end(store, "succeed", lease)
    assert not store.transition(transitions.stop_cancelled, lease)


def test_a_heartbeat_extends_the_lease_and_tells_of_a_cancel(store: StoreHarness) -> None:
    lease = store.start()
    before = store.job(lease.job_id).lease_until
    notice = store.transition(transitions.renew, lease, 90)
    assert notice == transitions.Notice(cancel_requested=False, deadline_passed=False)
    after = store.job(lease.job_id).lease_until
    assert before is not None
    assert after is not None
    assert (after - before).total_seconds() > 50
    store.transition(transitions.request_cancel, lease.job_id)
    assert store.transition(transitions.renew, lease, 90).cancel_requested


def test_a_heartbeat_tells_that_the_deadline_has_passed(store: StoreHarness) -> None:
    lease = store.start(deadline_seconds=0)
    assert store.transition(transitions.renew, lease, 30).deadline_passed
    assert not store.transition(transitions.renew, store.start(deadline_seconds=60), 30).deadline_passed


def test_a_lease_that_holds_does_not_expire(store: StoreHarness) -> None:
    lease = store.start()
    assert store.transition(transitions.expire, lease) is None
    assert store.job(lease.job_id).state is JobState.RUNNING


def test_a_lease_that_ran_out_puts_the_job_back_without_costing_an_attempt(store: StoreHarness) -> None:
    lease = silence(store, store.start())
    assert store.transition(transitions.expire, lease) is JobState.QUEUED
    job = store.job(lease.job_id)
    assert (job.attempt, job.crash_count, job.dispatched_at) == (0, 1, None)
    assert store.attempts(lease.job_id)[0].outcome is Outcome.CRASHED
    assert store.transition(transitions.expire, lease) is None


def test_a_renewed_lease_is_not_taken_though_it_had_run_out(store: StoreHarness) -> None:
    lease = silence(store, store.start())
    assert store.transition(transitions.renew, lease, 30)
    assert store.transition(transitions.expire, lease) is None


def test_the_third_crash_without_progress_is_the_last(store: StoreHarness) -> None:
    job_id = store.enqueue()
    states = []
    for _ in range(3):
        lease = store.claim(job_id)
        assert lease
        states.append(store.transition(transitions.expire, silence(store, lease)))
    assert states == [JobState.QUEUED, JobState.QUEUED, JobState.DEAD]
    job = store.job(job_id)
    assert job.error is not None
    assert job.error["code"] == "worker-crashed"
    assert job.finished_at is not None
    assert store.claim(job_id) is None


def test_progress_starts_a_new_count_of_crashes(store: StoreHarness) -> None:
    job_id = store.enqueue()
    for _ in range(5):
        lease = store.claim(job_id)
        assert lease
        assert store.transition(_save_progress, lease)
        assert store.transition(transitions.expire, silence(store, lease)) is JobState.QUEUED
    assert store.job(job_id).checkpoint == {"row": 9}


def test_a_crashed_job_that_was_asked_to_stop_is_cancelled(store: StoreHarness) -> None:
    lease = silence(store, store.start())
    store.transition(transitions.request_cancel, lease.job_id)
    assert store.transition(transitions.expire, lease) is JobState.CANCELLED


def test_a_queued_job_past_its_deadline_fails(store: StoreHarness) -> None:
    job_id = store.enqueue(deadline_seconds=0)
    assert store.transition(transitions.fail_overdue, job_id)
    job = store.job(job_id)
    assert (job.state, job.error and job.error["code"]) == (JobState.FAILED, "deadline-exceeded")
    assert not store.transition(transitions.fail_overdue, job_id)


@pytest.mark.parametrize("deadline_seconds", [None, 60])
def test_a_job_in_time_does_not_fail_by_its_deadline(store: StoreHarness, deadline_seconds: float | None) -> None:
    assert not store.transition(transitions.fail_overdue, store.enqueue(deadline_seconds=deadline_seconds))


def test_a_running_job_is_not_failed_by_the_dispatcher(store: StoreHarness) -> None:
    lease = store.start(deadline_seconds=0)
    assert not store.transition(transitions.fail_overdue, lease.job_id)
