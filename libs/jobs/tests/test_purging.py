"""Ended jobs are deleted when their time is over, with all that is theirs, and nothing else is."""

from datetime import timedelta
from typing import Any

import pytest
from jobs import transitions
from jobs.dispatcher import purging
from jobs.dispatcher.purging import Purge, Retention
from jobs.effects import begin
from jobs.files import FileStore, JobFile, JobFileChunk
from jobs.lease import Lease
from jobs.models import Job, JobAttempt, JobEffect
from jobs.states import JobState
from jobs.testing import StoreHarness
from prometheus_client import REGISTRY
from sqlalchemy import func, select, text

ERROR = {"code": "x", "message": "y"}
ENDS = {"succeeded": transitions.succeed, "failed": transitions.fail, "dead": transitions.die}


def ended(store: StoreHarness, state: str = "succeeded", days_ago: float = 8) -> Any:
    """A job that ended so long ago, with a file, an attempt and an effect."""
    lease = store.start()
    if state == "succeeded":  # its last attempt is its own row, so it gets another
        store.transition(transitions.retry, lease, ERROR, 0)
        lease = Lease(lease.job_id, 2)
        assert store.claim(lease.job_id) == lease
    with store.database.write() as session:
        FileStore(chunk_bytes=10).append(session, lease.job_id, "f", b"x" * 25, owner_id=store.owner_id)
        begin(session, lease, "send")
        if state == "cancelled":
            transitions.request_cancel(session, lease.job_id)
            transitions.stop_cancelled(session, lease)
        else:
            ENDS[state](session, lease, ERROR)
        session.commit()
    finished_at = store.job(lease.job_id).finished_at
    assert finished_at is not None
    store.change(lease.job_id, finished_at=finished_at - timedelta(days=days_ago))
    return lease.job_id


def purge(store: StoreHarness, **days: float) -> bool:
    return Purge("api", store.database, Retention(**days), None).delete_jobs()


def counts(store: StoreHarness) -> list[int]:
    tables = (Job, JobAttempt, JobEffect, JobFile, JobFileChunk)
    with store.database.read() as session:
        return [session.scalars(select(func.count()).select_from(table)).one() for table in tables]


@pytest.mark.parametrize(("state", "days"), [("succeeded", 7), ("cancelled", 7), ("failed", 30), ("dead", 30)])
def test_a_job_goes_with_all_that_is_its_own_when_its_time_is_over(store: StoreHarness, state: str, days: int) -> None:
    kept = ended(store, state, days - 0.01)
    ended(store, state, days + 0.01)
    assert purge(store) is False
    assert counts(store) == [1, 1, 1, 1, 3]
    assert store.ids() == [kept]


def test_jobs_that_have_not_ended_stay_however_old(store: StoreHarness) -> None:
    queued, running = store.enqueue(), store.start().job_id
    for job_id in (queued, running):
        store.change(job_id, created_at=store.job(job_id).created_at - timedelta(days=400))
    purge(store, succeeded_days=0.001)
    assert set(store.ids()) == {queued, running}


def test_a_job_that_was_redriven_stays_with_its_files(store: StoreHarness) -> None:
    job_id = ended(store, "dead", 40)
    assert store.transition(transitions.redrive, job_id, "ann")
    purge(store)
    assert counts(store) == [1, 1, 1, 1, 3]


def test_it_goes_batch_by_batch_and_is_counted(store: StoreHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "BATCH", 2)
    labels = {"store": "api", "state": "succeeded"}
    before = REGISTRY.get_sample_value("jobs_purged_total", labels) or 0
    for _ in range(3):
        ended(store)
    assert [purge(store), purge(store)] == [True, False]
    assert counts(store) == [0] * 5
    assert REGISTRY.get_sample_value("jobs_purged_total", labels) == before + 3


def overdue() -> float | None:
    return REGISTRY.get_sample_value("purge_overdue_seconds", {"store": "api"})


def test_how_long_the_oldest_job_stayed_beyond_its_time_is_measured(store: StoreHarness) -> None:
    ended(store, "succeeded", 6)
    purge(store)
    assert overdue() == 0
    ended(store, "failed", 32)
    ended(store, "succeeded", 8)
    purge(store)
    assert overdue() == pytest.approx(2 * 24 * 3600, abs=600)
    purge(store)
    assert overdue() == 0


def test_it_is_measured_where_deleting_fails(store: StoreHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    ended(store, days_ago=9)
    monkeypatch.setattr(purging, "_delete_rows", lambda *args: (_ for _ in ()).throw(SystemExit))
    with pytest.raises(SystemExit):
        purge(store)
    assert overdue() == pytest.approx(2 * 24 * 3600, abs=600)


def test_a_purge_that_is_killed_leaves_files_that_are_swept_later(
    store: StoreHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(store)
    with monkeypatch.context() as patch:
        patch.setattr(purging, "delete_files_of", lambda *args: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            purge(store)
    assert counts(store) == [0, 0, 0, 1, 3]
    with store.database.write() as session:
        session.execute(text("UPDATE job_files SET created_at = '2020-01-01 00:00:00.000000'"))
        session.commit()
    Purge("api", store.database, Retention(), None).delete_orphans()
    assert counts(store) == [0] * 5


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_the_index_finds_them(store: StoreHarness) -> None:
    for n in range(50):
        ended(store, days_ago=n)
    query = (
        "SELECT id FROM jobs WHERE state = 'succeeded' AND finished_at < '2020-01-01' ORDER BY finished_at LIMIT 1000"
    )
    with store.database.read() as session:
        plan = session.execute(text(f"EXPLAIN FORMAT=TRADITIONAL {query}")).mappings().one()
    assert plan["key"] == "ix_jobs_state_finished_at"
    assert "filesort" not in plan["Extra"]


def test_jobs_somebody_else_holds_are_passed_over(store: StoreHarness) -> None:
    """Two dispatchers never wait for each other; on SQLite there is one writer at a time anyway."""
    if store.database.dialect_name == "sqlite":
        pytest.skip("one writer at a time")
    held, free = ended(store), ended(store)
    with store.database.write() as session:
        session.scalars(select(Job).where(Job.id == held).with_for_update()).one()
        purge(store)
        assert store.ids() == [held]
    assert free not in store.ids()
    assert store.job(held).state is JobState.SUCCEEDED


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_a_purge_does_not_wait_for_a_job_that_runs(store: StoreHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = store.start()
    for _ in range(60):
        ended(store)
    with store.database.write() as holder:
        assert transitions.guard(holder, lease)
        monkeypatch.setattr("common.db.retry.time.sleep", pytest.fail)  # it would be tried again
        assert not purge(store)
    assert store.ids() == [lease.job_id]
