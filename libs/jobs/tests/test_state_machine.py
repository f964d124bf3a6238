"""Random sequences of everything that can happen to a job, late and repeated messages of dead workers included."""

import logging
import os
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from inspect import isfunction, signature
from typing import Any
from uuid import UUID

import pytest
from common.clock import utc_now
from common.ids import new_id
from common.testing.conditions import Condition, Conditions, before_statement
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
from jobs import testing, transitions
from jobs.dispatcher import picking
from jobs.dispatcher.picking import Picked
from jobs.errors import UnknownOutcome
from jobs.lease import Lease
from jobs.models import Job, JobAttempt
from jobs.states import JobState
from jobs.testing import StoreHarness
from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.exc import IntegrityError, MultipleResultsFound

log = logging.getLogger(__name__)

ROUND = 500
LATER_SECONDS = 60
BEHIND = st.sampled_from([0, 0, 0, 1, 2, -1])
"""By how much the fence of a message is behind the job's: mostly not at all."""
BEGINNINGS = [
    [],
    ["claim"],
    ["start_and_crash", "claim"],
    ["start_and_crash", "start_and_crash", "claim"],
    ["claim", "cancel"],
    ["start_and_crash", "claim", "cancel", "worker_goes_silent"],
]
"""What else than waiting a sequence may begin with: by chance alone much would take long to come about."""
CODES = st.sampled_from(["x", UnknownOutcome.code])


class JobMachine(RuleBasedStateMachine):
    """Does to a row what it does to a model; they must never differ."""

    store: StoreHarness
    sequences = 0

    @initialize(first=st.sampled_from(BEGINNINGS))
    def begin(self, first: list[str]) -> None:
        type(self).sequences += 1
        leave_only_bystanders(self.store)
        self.job_id = self.store.enqueue()
        self.state, self.is_due, self.fence, self.attempt, self.crashes, self.done = JobState.QUEUED, True, 0, 0, 0, 0
        self.cancel_requested = self.overdue = self.silent = False
        self.error: str | None = None
        self.published_at: datetime | None = None
        self.published = 0
        self.marks: list[Picked] = []
        for name in first:
            getattr(self, name)()

    def owns(self, fence: int) -> bool:
        return self.state is JobState.RUNNING and fence == self.fence

    def call(self, name: str, behind: int, *args: Any, **options: Any) -> Any:
        lease = Lease(self.job_id, self.fence - behind)
        return self.store.transition(getattr(transitions, name), lease, *args, **options)

    def queue_again(self, delay_seconds: float = 0) -> None:
        self.state, self.is_due, self.published_at = JobState.QUEUED, delay_seconds == 0, None

    @rule()
    def claim(self) -> None:
        expected = self.state is JobState.QUEUED and self.is_due
        assert bool(self.store.claim(self.job_id)) == expected
        if expected:
            self.state, self.fence, self.attempt = JobState.RUNNING, self.fence + 1, self.attempt + 1
            self.silent = False

    @precondition(lambda self: self.state is JobState.QUEUED and self.is_due)
    @rule(what=st.sampled_from(["another_worker_comes_and_goes", "it_is_cancelled", "it_fails_and_is_redriven"]))
    def claim_what_changes_after_the_look(self, what: str) -> None:
        with before_statement(2, getattr(self, what)):
            assert self.store.claim(self.job_id) is None

    def another_worker_comes_and_goes(self) -> None:
        lease = self.store.claim(self.job_id, "another")
        assert lease
        assert self.store.transition(transitions.release, lease)
        # As where all that took one tick of the clock: it was due at the look, so that only its fence is another.
        self.store.change(self.job_id, run_after=utc_now() - timedelta(seconds=1))
        self.queue_again()
        self.fence, self.silent = self.fence + 1, False

    def it_is_cancelled(self) -> None:
        assert self.store.transition(transitions.cancel_queued, self.job_id)
        self.state = JobState.CANCELLED

    def it_fails_and_is_redriven(self) -> None:
        self.fail_overdue(-1)
        self.redrive(LATER_SECONDS, even_unknown=False)

    @precondition(lambda self: self.state is JobState.QUEUED)
    @rule()
    def wait_until_it_is_due(self) -> None:
        self.store.change(self.job_id, run_after=utc_now() - timedelta(seconds=1))
        self.is_due = True

    @rule(delay_seconds=st.sampled_from([0, LATER_SECONDS]), even_unknown=st.booleans())
    def redrive(self, delay_seconds: float, even_unknown: bool) -> None:
        ended = self.state in {JobState.FAILED, JobState.DEAD}
        expected = ended and (even_unknown or self.error != UnknownOutcome.code)
        redriven = self.store.transition(
            transitions.redrive, self.job_id, "ann", delay_seconds, even_unknown=even_unknown
        )
        assert redriven == expected
        if expected:
            self.queue_again(delay_seconds)
            self.attempt, self.crashes, self.cancel_requested, self.overdue = 0, 0, False, False

    @rule(delay_seconds=st.sampled_from([-1, LATER_SECONDS]))
    def fail_overdue(self, delay_seconds: float) -> None:
        self.store.change(self.job_id, deadline_at=utc_now() + timedelta(seconds=delay_seconds))
        self.overdue = delay_seconds < 0
        expected = self.state is JobState.QUEUED and self.overdue
        assert self.store.transition(transitions.fail_overdue, self.job_id) == expected
        if expected:
            self.state, self.error = JobState.FAILED, "deadline-exceeded"

    @rule(behind=BEHIND)
    def heartbeat(self, behind: int) -> None:
        notice = self.call("renew", behind, 30)
        assert (notice is not None) == self.owns(self.fence - behind)
        if notice:
            assert (notice.cancel_requested, notice.deadline_passed) == (self.cancel_requested, self.overdue)
            self.silent = False

    @rule(behind=BEHIND)
    def step(self, behind: int) -> None:
        saved = {"checkpoint": {"done": self.done + 1}}
        expected = self.owns(self.fence - behind)
        assert self.call("save_progress", behind, saved, advanced=True) == expected
        if expected:
            self.done, self.crashes = self.done + 1, 0

    @rule(behind=BEHIND)
    def step_without_progress(self, behind: int) -> None:
        assert self.call("guard", behind) == self.owns(self.fence - behind)

    @rule(behind=BEHIND, end=st.sampled_from(["fail", "die"]), code=CODES)
    def finish(self, behind: int, end: str, code: str) -> None:
        expected = self.owns(self.fence - behind)
        assert self.call(end, behind, {"code": code, "message": "y"}) == expected
        if expected:
            self.state, self.error = {"fail": JobState.FAILED, "die": JobState.DEAD}[end], code

    @rule(behind=BEHIND)
    def succeed(self, behind: int) -> None:
        expected = self.owns(self.fence - behind)
        assert self.call("succeed", behind, {"count": 1}) == expected
        if expected:
            self.state, self.error = JobState.SUCCEEDED, None

    @rule(behind=BEHIND, delay_seconds=st.sampled_from([0, LATER_SECONDS]), counted=st.booleans())
    def retry(self, behind: int, delay_seconds: float, counted: bool) -> None:
        expected = self.owns(self.fence - behind) and not self.cancel_requested
        error = {"code": "x", "message": "y"}
        assert self.call("retry", behind, error, delay_seconds, counted=counted) == expected
        if expected:
            self.queue_again(delay_seconds)
            self.attempt, self.error = self.attempt - (not counted), "x"

    @rule(behind=BEHIND)
    def release(self, behind: int) -> None:
        expected = self.owns(self.fence - behind) and not self.cancel_requested
        assert self.call("release", behind) == expected
        if expected:
            self.queue_again()
            self.attempt -= 1

    @rule(behind=BEHIND)
    def notice_cancel(self, behind: int) -> None:
        expected = self.owns(self.fence - behind) and self.cancel_requested
        assert self.call("stop_cancelled", behind) == expected
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
        assert self.call("renew", 0, -1)
        self.silent = True

    @rule(behind=BEHIND)
    def expire(self, behind: int) -> None:
        state = self.call("expire", behind)
        if not (self.owns(self.fence - behind) and self.silent):
            assert state is None
            return
        if self.cancel_requested:
            self.state = JobState.CANCELLED
        else:
            self.crashes, self.attempt = self.crashes + 1, self.attempt - 1
            if self.crashes < transitions.MAX_CRASHES:
                self.queue_again()
            else:
                self.state, self.error = JobState.DEAD, "worker-crashed"
        assert state is self.state

    @precondition(lambda self: self.state is JobState.RUNNING)
    @rule()
    def crash(self) -> None:
        self.worker_goes_silent()
        self.expire(0)

    def start_and_crash(self) -> None:
        self.claim()
        self.crash()

    @precondition(
        lambda self: (
            self.state is JobState.RUNNING and not self.cancel_requested and self.crashes < transitions.MAX_CRASHES - 1
        )
    )
    @rule()
    def cancel_while_it_expires(self) -> None:
        """After the look whether anybody asked for that, and before it is queued: the next look will see it."""
        self.worker_goes_silent()
        with self.store.database.write() as session:
            with before_statement(3, lambda: transitions.request_cancel(session, self.job_id)):
                assert transitions.expire(session, Lease(self.job_id, self.fence)) is None
            session.commit()
        self.cancel_requested = True

    @rule()
    def publish(self) -> None:
        self.mark(self.state is JobState.QUEUED and self.is_due and self.published_at is None, "pick_due")

    @rule(older_than_seconds=st.sampled_from([-1, LATER_SECONDS]), queue=st.sampled_from(["default", "other"]))
    def publish_again(self, older_than_seconds: float, queue: str) -> None:
        waits = self.state is JobState.QUEUED and self.published_at is not None
        self.mark(waits and older_than_seconds < 0 and queue == "default", "pick_stale", queue, older_than_seconds)

    def mark(self, expected: bool, pick: str, *args: Any) -> None:
        picked: list[Picked] = self.store.transition(getattr(picking, pick), *args, limit=100)
        mine = [each for each in picked if each.job_id == self.job_id]
        assert bool(mine) == expected
        if mine:
            self.published_at, self.published = mine[0].marked_at, self.published + 1
        self.marks += picked

    @precondition(lambda self: self.marks)
    @rule(chance=st.randoms(use_true_random=False))
    def take_back_a_mark(self, chance: Any) -> None:
        mark = chance.choice(self.marks)
        self.store.transition(picking.unmark, [mark])
        if self.state is JobState.QUEUED and (mark.job_id, mark.marked_at) == (self.job_id, self.published_at):
            self.published_at, self.published = None, self.published - 1

    @invariant()
    def row_and_model_agree(self) -> None:
        job, ended = look_at(self.store, self.job_id)
        assert (job.state, job.fence, job.attempt) == (self.state, self.fence, self.attempt)
        assert (job.crash_count, (job.checkpoint or {"done": 0})["done"]) == (self.crashes, self.done)
        assert (job.error or {}).get("code") == self.error
        assert (job.dispatched_at, job.dispatch_count) == (self.published_at, self.published)
        assert (job.finished_at is not None) == self.state.is_final
        assert (job.lease_until is not None) == (self.state is JobState.RUNNING)
        # The last attempt of a job that runs or succeeded is its own row.
        assert ended == list(range(1, self.fence + (self.state not in {JobState.RUNNING, JobState.SUCCEEDED})))


# Made once: they are sent after each step.
JOB = select(Job.__table__).where(Job.__table__.c.id == bindparam("job_id"))
ENDED = select(JobAttempt.__table__.c.fence).where(
    JobAttempt.__table__.c.job_id == bindparam("job_id"), JobAttempt.__table__.c.ended_at.is_not(None)
)


def look_at(store: StoreHarness, job_id: UUID) -> tuple[Any, list[int]]:
    """The job's row, and the fences of its attempts that have ended."""
    with store.database.read_engine.connect() as connection:
        job = connection.execute(JOB, {"job_id": job_id}).one()
        return job, sorted(connection.scalars(ENDED, {"job_id": job_id}))


def leave_only_bystanders(store: StoreHarness) -> None:
    """Jobs to which nothing may happen: whatever is done to the job without its id is done to one of them too."""
    then = utc_now() - timedelta(seconds=1)
    same = {
        "owner_id": store.owner_id,
        "kind": "numbers",
        "kind_version": 1,
        "queue": "default",
        "payload": {},
        "max_attempts": 8,
        "attempt": 1,
        "fence": 1,
        "run_after": then,
        "created_at": then,
    }
    silent = {"state": JobState.RUNNING, "lease_until": then, "crash_count": transitions.MAX_CRASHES - 1}
    silent |= {"cancel_requested_at": None, "deadline_at": None}
    queued = {**silent, "state": JobState.QUEUED, "lease_until": None, "deadline_at": then}
    others = [
        {**silent, "dispatched_at": then},
        {**silent, "dispatched_at": then, "cancel_requested_at": then, "crash_count": 0},
        {**queued, "dispatched_at": None},
        {**queued, "dispatched_at": then},
        {**queued, "state": JobState.DEAD, "dispatched_at": then},
    ]
    with store.database.write() as session:
        session.execute(delete(Job))
        session.execute(insert(Job), [{"id": new_id(), **same, **other} for other in others])
        session.commit()


def machine_of(store: StoreHarness) -> type[JobMachine]:
    return type("StoredJobMachine", (JobMachine,), {"store": store})


def play(machine: type[JobMachine], sequences: int, *, always_the_same: bool = False) -> None:
    """Play so many sequences, or until the first in which row and model differ."""
    options = settings(
        max_examples=sequences,
        stateful_step_count=30,
        deadline=None,
        database=None,
        derandomize=always_the_same,
        phases=[Phase.generate],
        # One fault is enough: else it would go on for a thousand sequences to look for others.
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=options)


def test_any_sequence_of_events_leaves_the_job_as_the_model_says(store: StoreHarness) -> None:
    play(machine_of(store), sequences=60 if store.database.dialect_name == "sqlite" else 25)


@pytest.mark.job_drill
@pytest.mark.timeout(6 * 3600)
def test_ten_thousand_sequences(store: StoreHarness, figures: Callable[[str], None]) -> None:
    """`JOB_SEQUENCES=10000 make drill-jobs T="libs/jobs -k ten_thousand"`; 500 where it is not set."""
    log.setLevel(logging.INFO)  # shown as it goes with -o log_cli=true
    begun, machine = time.monotonic(), machine_of(store)
    for _ in range(int(os.environ.get("JOB_SEQUENCES", "500")) // ROUND):
        play(machine, sequences=ROUND)
        log.info("%d sequences in %.0f s", machine.sequences, time.monotonic() - begun)
    figures(f"{machine.sequences} sequences in {time.monotonic() - begun:.0f} s")


HELD = "id state fence"
CONDITIONS = {
    ("claim", 1): "id state run_after",
    ("claim", 2): "id state fence run_after",
    ("renew", 1): HELD,
    ("renew", 2): "id",
    ("save_progress", 1): HELD,
    ("guard", 1): HELD,
    ("succeed", 1): HELD,
    ("fail", 1): HELD,
    ("die", 1): HELD,
    ("stop_cancelled", 1): f"{HELD} cancel_requested_at",
    ("retry", 1): f"{HELD} cancel_requested_at",
    ("release", 1): f"{HELD} cancel_requested_at",
    ("expire", 1): f"{HELD} lease_until cancel_requested_at",
    ("expire", 2): f"{HELD} lease_until crash_count",
    ("expire", 3): f"{HELD} lease_until cancel_requested_at",
    ("cancel_queued", 1): "id state",
    ("request_cancel", 1): "id state",
    ("fail_overdue", 1): "id state deadline_at",
    ("redrive", 1): "id state error",
    ("pick_due", 1): "state dispatched_at run_after",
    ("pick_due", 2): "id",
    ("pick_stale", 1): "state queue dispatched_at",
    ("pick_stale", 2): "id",
    ("unmark", 1): "id state dispatched_at",
}
"""The statements of each transition, and of publishing, with the columns of their conditions."""

KNOWN = {
    Condition(name, statement, column) for (name, statement), all_ in CONDITIONS.items() for column in all_.split()
}
LOOKS = {Condition("claim", 1, "state"), Condition("claim", 1, "run_after")}
"""They spare the UPDATE after them, which asks again: without them nothing goes wrong."""
IMPLIED = {Condition("expire", statement, "state") for statement in (1, 2, 3)}
"""Only a running job has a lease that can have run out."""


FAULTS = (AssertionError, IntegrityError, MultipleResultsFound)


def watch_all(conditions: Conditions, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in sorted({each.function for each in KNOWN}):
        module = transitions if hasattr(transitions, name) else picking
        conditions.watch(monkeypatch, name, module, *([testing] if hasattr(testing, name) else []))


@pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)
def test_the_conditions_of_all_transitions_are_listed(store: StoreHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new one is to be listed, and then has to be missed where it is dropped."""
    takes_session = {
        name
        for name, function in vars(transitions).items()
        if isfunction(function) and not name.startswith("_") and "session" in signature(function).parameters
    }
    conditions = Conditions()
    watch_all(conditions, monkeypatch)
    with conditions.at_work():
        play(machine_of(store), sequences=60, always_the_same=True)
    assert takes_session - {"record_attempt"} == {
        each.function for each in KNOWN if hasattr(transitions, each.function)
    }
    assert conditions.seen == KNOWN


@pytest.mark.job_drill
@pytest.mark.timeout(600)
@pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("condition", sorted(KNOWN - LOOKS - IMPLIED), ids=str)
def test_a_condition_that_is_dropped_is_missed(
    store: StoreHarness, monkeypatch: pytest.MonkeyPatch, condition: Condition, figures: Callable[[str], None]
) -> None:
    """Mutants of the state machine, one condition of one statement each: the sequences above kill every one of them."""
    conditions, machine = Conditions(condition), machine_of(store)
    watch_all(conditions, monkeypatch)
    with conditions.at_work(), pytest.raises(FAULTS):
        play(machine, sequences=5000, always_the_same=True)
    assert condition in conditions.seen
    figures(f"missed within {machine.sequences} sequences")


@pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("column", HELD.split())
def test_without_the_row_the_state_or_the_fence_in_its_condition_a_transition_goes_wrong(
    store: StoreHarness, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    """The same for a few of them, with every change."""
    conditions = Conditions(Condition("succeed", 1, column))
    watch_all(conditions, monkeypatch)
    with conditions.at_work(), pytest.raises(FAULTS):
        play(machine_of(store), sequences=500, always_the_same=True)
