"""Random sequences of everything that can happen to a job, late and repeated messages of dead workers included."""

import os
from datetime import timedelta
from typing import Any

import pytest
from common.clock import utc_now
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from jobs import transitions
from jobs.models import Job
from jobs.states import JobState
from jobs.testing import StoreHarness
from jobs.transitions import Lease
from sqlalchemy import Column
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.visitors import iterate

ERROR = {"code": "x", "message": "y"}
FENCES = st.integers(min_value=1, max_value=6)


class JobMachine(RuleBasedStateMachine):
    """Does to a row what it does to a model of ten lines; they must never differ."""

    store: StoreHarness

    @initialize()
    def enqueue(self) -> None:
        self.job_id = self.store.enqueue()
        self.state, self.fence, self.attempt, self.crashes, self.done = JobState.QUEUED, 0, 0, 0, 0
        self.cancel_requested = self.silent = False

    def owns(self, fence: int) -> bool:
        return self.state is JobState.RUNNING and fence == self.fence

    def call(self, name: str, fence: int, *args: Any, **options: Any) -> Any:
        return self.store.transition(getattr(transitions, name), Lease(self.job_id, fence), *args, **options)

    @rule()
    def claim(self) -> None:
        expected = self.state is JobState.QUEUED
        assert bool(self.store.claim(self.job_id)) == expected
        if expected:
            self.state, self.fence, self.attempt = JobState.RUNNING, self.fence + 1, self.attempt + 1
            self.silent = False

    @rule()
    def claim_while_another_worker_comes_and_goes(self) -> None:
        """Between looking and claiming: the row is queued again, but not as it was seen."""
        expected = self.state is JobState.QUEUED
        assert not claim_interrupted(self.store, self.job_id) or not expected
        if expected:
            self.fence, self.silent = self.fence + 1, False

    @rule()
    def redrive(self) -> None:
        expected = self.state in {JobState.FAILED, JobState.DEAD}
        assert self.store.transition(transitions.redrive, self.job_id, "ann") == expected
        if expected:
            self.state, self.attempt, self.crashes, self.cancel_requested = JobState.QUEUED, 0, 0, False

    @rule(delay_seconds=st.sampled_from([-1, 60]))
    def fail_overdue(self, delay_seconds: float) -> None:
        self.store.change(self.job_id, deadline_at=utc_now() + timedelta(seconds=delay_seconds))
        expected = self.state is JobState.QUEUED and delay_seconds < 0
        assert self.store.transition(transitions.fail_overdue, self.job_id) == expected
        if expected:
            self.state = JobState.FAILED

    @rule(fence=FENCES)
    def heartbeat(self, fence: int) -> None:
        notice = self.call("renew", fence, 30)
        assert (notice is not None) == self.owns(fence)
        if notice:
            assert notice.cancel_requested == self.cancel_requested
            self.silent = False

    @rule(fence=FENCES)
    def step(self, fence: int) -> None:
        saved = {"checkpoint": {"done": self.done + 1}}
        assert self.call("save_progress", fence, saved, advanced=True) == self.owns(fence)
        if self.owns(fence):
            self.done, self.crashes = self.done + 1, 0

    @rule(fence=FENCES)
    def step_without_progress(self, fence: int) -> None:
        assert self.call("guard", fence) == self.owns(fence)

    @rule(fence=FENCES, end=st.sampled_from(["succeed", "fail", "die"]))
    def finish(self, fence: int, end: str) -> None:
        assert self.call(end, fence, ERROR) == self.owns(fence)
        if self.owns(fence):
            self.state = {"succeed": JobState.SUCCEEDED, "fail": JobState.FAILED, "die": JobState.DEAD}[end]

    @rule(fence=FENCES, counted=st.booleans())
    def retry(self, fence: int, counted: bool) -> None:
        expected = self.owns(fence) and not self.cancel_requested
        assert self.call("retry", fence, ERROR, 0, counted=counted) == expected
        if expected:
            self.state, self.attempt = JobState.QUEUED, self.attempt - (not counted)

    @rule(fence=FENCES)
    def release(self, fence: int) -> None:
        expected = self.owns(fence) and not self.cancel_requested
        assert self.call("release", fence) == expected
        if expected:
            self.state, self.attempt = JobState.QUEUED, self.attempt - 1

    @rule(fence=FENCES)
    def notice_cancel(self, fence: int) -> None:
        expected = self.owns(fence) and self.cancel_requested
        assert self.call("stop_cancelled", fence) == expected
        if expected:
            self.state = JobState.CANCELLED

    @rule()
    def cancel(self) -> None:
        assert self.store.transition(transitions.cancel_queued, self.job_id) == (self.state is JobState.QUEUED)
        if self.state is JobState.QUEUED:
            self.state = JobState.CANCELLED
        assert self.store.transition(transitions.request_cancel, self.job_id) == (self.state is JobState.RUNNING)
        self.cancel_requested = self.cancel_requested or self.state is JobState.RUNNING

    @precondition(lambda self: self.state is JobState.RUNNING)
    @rule()
    def worker_goes_silent(self) -> None:
        self.call("renew", self.fence, -1)
        self.silent = True

    @rule(fence=FENCES)
    def expire(self, fence: int) -> None:
        state = self.call("expire", fence)
        if not (self.owns(fence) and self.silent):
            assert state is None
            return
        if self.cancel_requested:
            self.state = JobState.CANCELLED
        else:
            self.crashes, self.attempt = self.crashes + 1, self.attempt - 1
            self.state = JobState.DEAD if self.crashes == transitions.MAX_CRASHES else JobState.QUEUED
        assert state is self.state

    @invariant()
    def row_and_model_agree(self) -> None:
        job: Job = self.store.job(self.job_id)
        assert (job.state, job.fence, job.attempt) == (self.state, self.fence, self.attempt)
        assert (job.crash_count, (job.checkpoint or {"done": 0})["done"]) == (self.crashes, self.done)
        assert (job.finished_at is not None) == self.state.is_final
        assert (job.lease_until is not None) == (self.state is JobState.RUNNING)

    @invariant()
    def only_the_attempt_that_runs_is_open(self) -> None:
        still_open = [attempt.fence for attempt in self.store.attempts(self.job_id) if attempt.ended_at is None]
        assert still_open == ([self.fence] if self.state is JobState.RUNNING else [])


def claim_interrupted(store: StoreHarness, job_id: Any) -> bool:
    """Claim; another worker claims and gives back between the look and the UPDATE. Whether the claim succeeded."""
    with store.database.statements() as session:
        execute, looks = session.execute, iter([True])

        def interrupted(*args: Any, **options: Any) -> Any:
            found = execute(*args, **options)
            if next(looks, False) and (lease := store.claim(job_id, "another")):
                assert store.transition(transitions.release, lease) or store.transition(
                    transitions.stop_cancelled, lease
                )
            return found

        session.execute = interrupted  # type: ignore[method-assign]
        return transitions.claim(session, job_id, "w1", 30) is not None


def play(store: StoreHarness, sequences: int, *, always_the_same: bool = False) -> None:
    machine = type("StoredJobMachine", (JobMachine,), {"store": store})
    options = settings(
        max_examples=sequences,
        stateful_step_count=25,
        deadline=None,
        database=None,
        derandomize=always_the_same,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=options)


def test_any_sequence_of_events_leaves_the_job_as_the_model_says(store: StoreHarness) -> None:
    play(store, sequences=60 if store.database.dialect_name == "sqlite" else 25)


@pytest.mark.job_drill
@pytest.mark.timeout(4 * 3600)
def test_ten_thousand_sequences(store: StoreHarness) -> None:
    """`JOB_SEQUENCES=10000 make drill-jobs T=libs/jobs`, the better part of an hour; 500 where it is not set."""
    play(store, sequences=int(os.environ.get("JOB_SEQUENCES", "500")))


FENCED = ["renew", "save_progress", "guard", "succeed", "fail", "die", "stop_cancelled", "retry", "release", "expire"]


@pytest.mark.job_drill
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("function", "column"),
    [
        *[(function, "fence") for function in ["claim", *FENCED]],
        *[(function, "state") for function in ["cancel_queued", "request_cancel", "redrive", "fail_overdue"]],
        ("expire", "lease_until"),
    ],
)
def test_a_condition_dropped_from_one_where_is_noticed(
    store: StoreHarness, monkeypatch: pytest.MonkeyPatch, function: str, column: str
) -> None:
    """Mutants of the state machine, one condition of one statement each: the sequences above kill every one of them."""
    drop_condition(monkeypatch, function, column)
    with pytest.raises((AssertionError, IntegrityError, ExceptionGroup)):
        play(store, sequences=3000, always_the_same=True)


def drop_condition(monkeypatch: pytest.MonkeyPatch, function: str, column: str) -> None:
    """Take the conditions on this column out of what the function sends, and of nothing else."""
    original, happened, held = getattr(transitions, function), transitions._happened, transitions._held
    inside: list[bool] = []

    def mutated(*args: Any, **options: Any) -> Any:
        inside.append(True)
        try:
            return original(*args, **options)
        finally:
            inside.pop()

    def kept(conditions: Any) -> tuple[Any, ...]:
        return tuple(each for each in conditions if not (inside and column in columns_of(each)))

    def send(session: Any, statement: Any, *parameters: Any) -> bool:
        return happened(session, with_conditions(statement, kept(statement._where_criteria)), *parameters)

    monkeypatch.setattr(transitions, function, mutated)
    monkeypatch.setattr(transitions, "_happened", send)
    monkeypatch.setattr(transitions, "_held", lambda lease: kept(held(lease)))


def with_conditions(statement: Any, conditions: Any) -> Any:
    """A copy: some statements are made once for all jobs."""
    changed = statement.execution_options()
    changed._where_criteria = tuple(conditions)
    return changed


def columns_of(condition: Any) -> set[str]:
    return {each.name for each in iterate(condition) if isinstance(each, Column)}


@pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("dropped", [0, 1, 2])
def test_without_the_row_the_state_or_the_fence_in_its_condition_a_transition_goes_wrong(
    store: StoreHarness, monkeypatch: pytest.MonkeyPatch, dropped: int
) -> None:
    held = transitions._held
    monkeypatch.setattr(transitions, "_held", lambda lease: [c for n, c in enumerate(held(lease)) if n != dropped])
    left = [c for n, c in enumerate(transitions._SUCCEED._where_criteria) if n != dropped]
    monkeypatch.setattr(transitions, "_SUCCEED", with_conditions(transitions._SUCCEED, left))
    # A second running job: without the row's id a transition would end both.
    store.start()
    with pytest.raises((AssertionError, IntegrityError, ExceptionGroup)):
        play(store, sequences=200, always_the_same=True)
