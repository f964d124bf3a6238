"""What an operator does: running a dead job again, and cancelling anybody's."""

from typing import Any

import pytest
from common.ids import new_id
from jobs import transitions
from jobs.errors import JobNotFound, JobNotRedrivable
from jobs.lease import Lease
from jobs.models import Job
from jobs.states import JobState
from jobs.testing import StoreHarness
from jobs.use_cases import cancel_job, operating

ERROR = {"code": "handler-error", "message": "It broke."}


def dead(store: StoreHarness, **options: Any) -> Any:
    lease = store.start(**options)
    assert store.transition(transitions.die, lease, ERROR)
    return lease.job_id


def redrive(store: StoreHarness, job_id: Any) -> Job:
    with store.database.write() as session:
        return operating.redrive_job(session, job_id, by="ann@example.org")


@pytest.mark.parametrize("end", [transitions.die, transitions.fail])
def test_a_job_that_ended_badly_gets_a_new_budget_and_keeps_its_checkpoint(store: StoreHarness, end: Any) -> None:
    lease = store.start(deadline_seconds=3600)
    saved = {"checkpoint": {"row": 7}, "crash_count": 2, "dispatched_at": store.job(lease.job_id).created_at}
    store.transition(transitions.save_progress, lease, saved, advanced=False)
    store.transition(end, lease, ERROR)
    job = redrive(store, lease.job_id)
    assert (job.state, job.attempt, job.crash_count, job.dispatched_at) == (JobState.QUEUED, 0, 0, None)
    assert (job.checkpoint, job.deadline_at, job.finished_at) == ({"row": 7}, None, None)
    assert (job.redrive_count, job.redriven_by) == (1, "ann@example.org")
    assert job.redriven_at is not None
    assert store.claim(lease.job_id) == Lease(lease.job_id, 2)
    assert len(store.attempts(lease.job_id)) == 2


def test_a_job_is_redriven_once_for_each_time_it_ended(store: StoreHarness) -> None:
    job_id = dead(store)
    redrive(store, job_id)
    with pytest.raises(JobNotRedrivable, match="The job is queued"):
        redrive(store, job_id)
    lease = store.claim(job_id)
    assert lease is not None
    store.transition(transitions.die, lease, ERROR)
    assert redrive(store, job_id).redrive_count == 2


@pytest.mark.parametrize("end", ["succeed", "cancel", "run"])
def test_no_other_job_is_redriven(store: StoreHarness, end: str) -> None:
    lease = store.start()
    if end == "succeed":
        store.transition(transitions.succeed, lease, None)
    elif end == "cancel":
        store.transition(transitions.request_cancel, lease.job_id)
        store.transition(transitions.stop_cancelled, lease)
    with pytest.raises(JobNotRedrivable):
        redrive(store, lease.job_id)


def test_a_job_that_is_not_there_is_neither_redriven_nor_cancelled(store: StoreHarness) -> None:
    with pytest.raises(JobNotFound):
        redrive(store, new_id())
    with store.database.write() as session, pytest.raises(JobNotFound):
        operating.cancel_any_job(session, new_id(), by="ann")


def test_an_operator_cancels_anybody_s_job(store: StoreHarness) -> None:
    queued, running = store.enqueue(), store.start().job_id
    with store.database.write() as session:
        assert operating.cancel_any_job(session, queued, by="ann").state is JobState.CANCELLED
    with store.database.write() as session:
        assert operating.cancel_any_job(session, running, by="ann").cancel_requested_at is not None
    with store.database.write() as session:
        assert operating.cancel_any_job(session, queued, by="bob").state is JobState.CANCELLED
    with store.database.write() as session:
        operating.cancel_any_job(session, running, by="bob")
    assert [store.job(job_id).cancel_requested_by for job_id in (queued, running)] == ["ann", "ann"]


def test_what_its_owner_cancelled_first_an_operator_did_not(store: StoreHarness) -> None:
    queued, running = store.enqueue(), store.start().job_id
    for job_id in (queued, running):
        with store.database.write() as session:
            cancel_job(session, store.owner_id, job_id)
        asked_at = store.job(job_id).cancel_requested_at
        with store.database.write() as session:
            operating.cancel_any_job(session, job_id, by="ann")
        job = store.job(job_id)
        assert (job.cancel_requested_by, job.cancel_requested_at) == (None, asked_at)


def test_a_redriven_job_forgets_who_asked_its_last_run_to_stop(store: StoreHarness) -> None:
    lease = store.start()
    store.transition(transitions.request_cancel, lease.job_id, "ann")
    store.transition(transitions.die, lease, ERROR)
    assert store.job(lease.job_id).cancel_requested_by == "ann"
    job = redrive(store, lease.job_id)
    assert (job.cancel_requested_at, job.cancel_requested_by) == (None, None)
