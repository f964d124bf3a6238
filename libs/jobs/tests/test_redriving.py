"""Running many dead jobs again: those that were meant, in their order, at their pace, in nobody's way."""

import time
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from common.testing.statements import recorded
from jobs import transitions
from jobs.models import Job
from jobs.states import JobState
from jobs.testing import StoreHarness
from jobs.use_cases import redriving
from jobs.use_cases.redriving import Chosen, count_redrivable
from sqlalchemy import select

ERROR = {"code": "handler-error", "message": "It broke."}


def dead(store: StoreHarness, **options: Any) -> UUID:
    lease = store.start(**options)
    assert store.transition(transitions.die, lease, ERROR)
    return lease.job_id


def redrive(store: StoreHarness, *chosen: Any, **options: Any) -> int:
    return redriving.redrive_jobs(store.database, Chosen(*chosen), by="ann", **options)


def gaps(store: StoreHarness, jobs: list[UUID]) -> list[float]:
    """Seconds from when the first is due to when each is."""
    due = [store.job(job_id).run_after for job_id in jobs]
    return [(each - due[0]).total_seconds() for each in due]


def test_many_become_due_one_after_the_other(store: StoreHarness) -> None:
    jobs = [dead(store) for _ in range(5)]
    failed = store.start(kind="letters")
    store.transition(transitions.fail, failed, ERROR)
    assert redrive(store, per_second=2) == 5
    assert {store.job(job_id).state for job_id in jobs} == {JobState.QUEUED}
    assert gaps(store, jobs) == pytest.approx([0, 0.5, 1, 1.5, 2], abs=0.3)
    assert store.job(failed.job_id).state is JobState.FAILED


def test_the_pace_goes_on_from_batch_to_batch(store: StoreHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redriving, "BATCH", 2)
    monkeypatch.setattr(redriving, "LOOKED_AT", 3)
    jobs = [dead(store) for _ in range(7)]
    assert redrive(store, per_second=0.1) == 7
    assert gaps(store, jobs) == pytest.approx([0, 10, 20, 30, 40, 50, 60], abs=5)


def test_many_are_chosen_by_kind_state_and_error_and_limited(store: StoreHarness) -> None:
    for kind in ("numbers", "letters"):
        for _ in range(3):
            dead(store, kind=kind)
    assert redrive(store, JobState.FAILED) == 0
    assert redrive(store, JobState.DEAD, None, "worker-crashed") == 0
    assert redrive(store, JobState.DEAD, "letters", limit=2) == 2
    assert redrive(store, JobState.DEAD, "letters", "handler-error") == 1
    assert redrive(store, JobState.DEAD, "letters") == 0


def test_those_with_an_unknown_outcome_are_left_out(store: StoreHarness) -> None:
    lease = store.start()
    store.transition(transitions.fail, lease, {"code": "unknown-outcome", "message": "?"})
    assert count_redrivable(store.database, Chosen(JobState.FAILED)) == 0
    assert redrive(store, JobState.FAILED) == 0


@pytest.mark.parametrize("looked_at", [1, 2, 3, 4, 9, 10, 100])
def test_few_among_many_are_found_though_each_look_is_short(
    store: StoreHarness, monkeypatch: pytest.MonkeyPatch, looked_at: int
) -> None:
    monkeypatch.setattr(redriving, "LOOKED_AT", looked_at)
    jobs = [dead(store, kind="rare" if n % 4 == 1 else "numbers") for n in range(9)]
    # Ends at the same moment are told apart by their ids, or a look would end among them and never get on.
    same = store.job(jobs[3]).finished_at
    for job_id in jobs[4:8]:
        store.change(job_id, finished_at=same)
    rare, others = jobs[1::4], [job_id for n, job_id in enumerate(jobs) if n % 4 != 1]
    assert count_redrivable(store.database, Chosen(kind="rare")) == len(rare) == 2
    assert count_redrivable(store.database, Chosen()) == 9
    assert redrive(store, JobState.DEAD, "rare") == 2
    assert [store.job(job_id).redrive_count for job_id in rare] == [1, 1]
    assert {store.job(job_id).redrive_count for job_id in others} == {0}
    assert redrive(store) == 7


def test_one_that_dies_again_meanwhile_is_not_run_again(store: StoreHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redriving, "BATCH", 1)
    jobs, original = [dead(store) for _ in range(3)], transitions.redrive
    counts: Counter[UUID] = Counter()

    def redrive_and_die(session: Any, job_id: UUID, *args: Any) -> bool:
        counts[job_id] += 1
        done = original(session, job_id, *args)
        session.commit()
        if job_id == jobs[0]:
            time.sleep(0.01)
            store.change(jobs[1], state=JobState.DEAD, finished_at=store.job(jobs[1]).created_at + timedelta(days=1))
        return done

    monkeypatch.setattr(transitions, "redrive", redrive_and_die)
    assert redrive(store) == 2
    assert counts == {jobs[0]: 1, jobs[2]: 1}


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_one_that_somebody_holds_is_left_out_and_nobody_else_waits(store: StoreHarness) -> None:
    jobs = [dead(store) for _ in range(3)]
    with store.database.write() as session:
        session.execute(select(Job.id).where(Job.id == jobs[1]).with_for_update())
        assert redrive(store) == 2
    assert redrive(store) == 1


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_no_statement_looks_at_more_than_its_stretch_and_those_that_lock_go_by_id(
    store: StoreHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redriving, "LOOKED_AT", 10)
    for n in range(60):
        dead(store, kind="rare" if n in {14, 15, 55, 57} else "numbers")
    with recorded(store.database.engine) as sent:
        assert redrive(store, JobState.DEAD, "rare", limit=10) == 4
    locking = [statement for statement, _ in sent if "FOR UPDATE" in statement]
    assert len(locking) == 2
    with store.database.write() as session:
        for statement, values in sent:
            if not statement.startswith("SELECT jobs."):
                continue
            plan = (
                session.connection().exec_driver_sql(f"EXPLAIN FORMAT=TRADITIONAL {statement}", values).mappings().one()
            )
            assert plan["key"] == ("PRIMARY" if statement in locking else "ix_jobs_state_finished_at"), statement
            assert "filesort" not in (plan["Extra"] or "") or statement in locking, statement
