"""Every way from one state of a job to another, each a single conditional UPDATE.

A transition happened if its UPDATE met the row in the old state and, from `running`, with the fence of the attempt;
else it did not happen and the function says so. None of these functions commits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    Table,
    Update,
    bindparam,
    case,
    func,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from jobs.attempt_records import record_attempt
from jobs.claimed_job import READ, ClaimedJob
from jobs.database_time import database_time
from jobs.errors import UnknownOutcome
from jobs.lease import Lease
from jobs.models.job import Job
from jobs.states import JobState, Outcome

MAX_CRASHES = 3
"""Crashes without progress between them after which a job counts as what makes its workers crash."""

_jobs = cast("Table", Job.__table__)
_row = _jobs.c

Error = dict[str, str]
"""{code, message}: what the owner is told."""

_CRASHED = {"code": "worker-crashed", "message": f"Its worker went silent {MAX_CRASHES} times without any progress."}
_OVERDUE = {"code": "deadline-exceeded", "message": "The job was not done by its deadline."}


@dataclass(frozen=True)
class Notice:
    """What a heartbeat brings back for a lease that holds."""

    cancel_requested: bool
    deadline_passed: bool


def claim(
    session: Session | Connection,
    job_id: UUID,
    worker: str,
    lease_seconds: float,
    *,
    before_it: Callable[[ClaimedJob], object] | None = None,
) -> ClaimedJob | None:
    """Make a due queued job this worker's and return it as it is now; None when there is nothing to claim.

    One look and one conditional UPDATE, which names the fence that was seen: so what was read is what was claimed,
    and neither statement needs a transaction around it. `before_it` hears what is about to be claimed.
    """
    row = session.execute(_LOOK, {"job_id": job_id}).one_or_none()
    if row is None:
        return None
    seen = row._asdict()
    now, fence, started_at = seen.pop("now"), seen.pop("fence"), seen.pop("started_at")
    written = {"fence": fence + 1, "attempt": seen["attempt"] + 1, "claimed_at": now, "worker": worker}
    job = ClaimedJob(id=job_id, **seen | written)
    taken = {
        "job_id": job_id,
        "seen_fence": fence,
        "next_fence": job.fence,
        "next_attempt": job.attempt,
        "by": worker,
        "now": now,
        "until": now + timedelta(seconds=lease_seconds),
        "first_start": started_at or now,
    }
    if before_it:
        before_it(job)
    return job if _happened(session, _CLAIM, taken) else None


def renew(session: Session, lease: Lease, lease_seconds: float) -> Notice | None:
    """Extend the lease and return what its holder has to know; None when the lease is lost."""
    if not _happened(session, update(Job).where(*_held(lease)).values(lease_until=database_time(lease_seconds))):
        return None
    cancel_requested_at, deadline_at, now = session.execute(
        select(Job.cancel_requested_at, Job.deadline_at, database_time()).where(Job.id == lease.job_id)
    ).one()
    return Notice(
        cancel_requested=cancel_requested_at is not None,
        deadline_passed=deadline_at is not None and deadline_at <= now,
    )


def save_progress(session: Session, lease: Lease, values: dict[str, Any], *, advanced: bool) -> bool:
    """Write checkpoint and progress under the fence; a job that advanced starts a new count of crashes."""
    if advanced:
        values = {**values, "crash_count": 0}
    return _happened(session, update(Job).where(*_held(lease)).values(values))


def guard(session: Session, lease: Lease) -> bool:
    """Tell whether the lease holds, and lock the row so that it does until the session's transaction ends."""
    return session.scalars(select(Job.id).where(*_held(lease)).with_for_update()).first() is not None


def succeed(session: Session | Connection, lease: Lease, result: dict[str, Any] | None) -> bool:
    """End a job that is done. Nothing leaves this state, so that its row is the record of the attempt, too.

    So it is one conditional UPDATE, which needs no transaction around it.
    """
    ended = {"job_id": lease.job_id, "fence_held": lease.fence, "what_came_out": result}
    return _happened(session, _SUCCEED, ended)


def fail(session: Session, lease: Lease, error: Error) -> bool:
    return _finish(session, lease, Outcome.FAILED, state=JobState.FAILED, error=error)


def die(session: Session, lease: Lease, error: Error) -> bool:
    return _finish(session, lease, Outcome.DEAD, state=JobState.DEAD, error=error)


def stop_cancelled(session: Session, lease: Lease) -> bool:
    """End a running job that its owner asked to stop; refused where nobody asked."""
    asked = Job.cancel_requested_at.is_not(None)
    return _finish(session, lease, Outcome.CANCELLED, asked, state=JobState.CANCELLED)


def retry(session: Session, lease: Lease, error: Error, delay_seconds: float, *, counted: bool = True) -> bool:
    """Queue the job again after a failed attempt; one that is not `counted` is given back. Refused once cancelled."""
    given_back = {} if counted else {"attempt": Job.attempt - 1}
    return _requeue(session, lease, Outcome.RETRIED, delay_seconds, error=error, **given_back)


def release(session: Session, lease: Lease) -> bool:
    """Queue the job again at once because its worker stops; the attempt is given back. Refused once cancelled."""
    return _requeue(session, lease, Outcome.RELEASED, 0, attempt=Job.attempt - 1)


def expire(session: Session, lease: Lease) -> JobState | None:
    """Take a job from a worker that went silent: cancelled if that was asked, dead after MAX_CRASHES, else queued.

    None when the lease has not run out, was renewed, or the job is no longer running with this fence.
    """
    silent = Job.lease_until < database_time()
    asked = Job.cancel_requested_at.is_not(None)
    if _finish(session, lease, Outcome.CRASHED, silent, asked, state=JobState.CANCELLED):
        return JobState.CANCELLED
    # A crash has a count of its own, so the attempt is given back.
    crash = {"crash_count": Job.crash_count + 1, "attempt": Job.attempt - 1}
    worn_out = Job.crash_count >= MAX_CRASHES - 1
    if _finish(session, lease, Outcome.CRASHED, silent, worn_out, state=JobState.DEAD, error=_CRASHED, **crash):
        return JobState.DEAD
    if _requeue(session, lease, Outcome.CRASHED, 0, silent, **crash):
        return JobState.QUEUED
    return None


def cancel_queued(session: Session, job_id: UUID, by: str | None = None) -> bool:
    """End a job that waits; `by` names the operator who did it, None is its owner."""
    now = database_time()
    values = {"state": JobState.CANCELLED, "cancel_requested_at": now, "cancel_requested_by": by, "finished_at": now}
    return _happened(session, update(Job).where(Job.id == job_id, Job.state == JobState.QUEUED).values(values))


def request_cancel(session: Session, job_id: UUID, by: str | None = None) -> bool:
    """Ask a running job to stop; when and by whom it was asked first is what stays. `by` as above."""
    was_asked = Job.cancel_requested_at.is_not(None)
    asked = update(Job).where(Job.id == job_id, Job.state == JobState.RUNNING)
    # In this order: to MySQL a column has its new value in what is set after it.
    asked = asked.ordered_values(
        (Job.cancel_requested_by, case((was_asked, Job.cancel_requested_by), else_=by)),
        (Job.cancel_requested_at, func.coalesce(Job.cancel_requested_at, database_time())),
    )
    return _happened(session, asked)


def fail_overdue(session: Session, job_id: UUID) -> bool:
    """Fail a queued job whose deadline has passed; a running one is told by its heartbeat."""
    now = database_time()
    values = {"state": JobState.FAILED, "error": _OVERDUE, "finished_at": now}
    overdue = (Job.id == job_id, Job.state == JobState.QUEUED, Job.deadline_at <= now)
    return _happened(session, update(Job).where(*overdue).values(values))


def redrive(session: Session, job_id: UUID, by: str, delay_seconds: float = 0, *, even_unknown: bool = False) -> bool:
    """Queue a failed or dead job again with a new budget, from its checkpoint on; only an operator does that.

    Refused where the outcome of an effect is unknown, unless `even_unknown`. A deadline that passed meanwhile, or a
    cancel it did not get to see, belonged to the first run.
    """
    ended = Job.id == job_id, Job.state.in_([JobState.FAILED, JobState.DEAD])
    known = () if even_unknown else (outcome_is_known(),)
    fresh = {"attempt": 0, "crash_count": 0, "dispatched_at": None, "deadline_at": None}
    fresh |= {"cancel_requested_at": None, "cancel_requested_by": None}
    queued = {"state": JobState.QUEUED, "run_after": database_time(delay_seconds), "finished_at": None}
    record = {"redrive_count": Job.redrive_count + 1, "redriven_at": database_time(), "redriven_by": by}
    return _happened(session, update(Job).where(*ended, *known).values(fresh | queued | record))


def outcome_is_known() -> ColumnElement[bool]:
    """Whether a failed job may be run again without asking what became of its last effect."""
    return or_(Job.error.is_(None), Job.error["code"].as_string() != UnknownOutcome.code)


def _held(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return _row.id == lease.job_id, _row.state == JobState.RUNNING, _row.fence == lease.fence


def _requeue(
    session: Session,
    lease: Lease,
    outcome: Outcome,
    delay_seconds: float,
    *conditions: ColumnElement[bool],
    **values: Any,
) -> bool:
    wanted = Job.cancel_requested_at.is_(None)
    # Unpublished again: the dispatcher's next round hands it out.
    queued = {"state": JobState.QUEUED, "run_after": database_time(delay_seconds), "dispatched_at": None}
    return _leave(session, lease, outcome, (wanted, *conditions), {**queued, **values})


def _finish(session: Session, lease: Lease, outcome: Outcome, *conditions: ColumnElement[bool], **values: Any) -> bool:
    return _leave(session, lease, outcome, conditions, {"finished_at": database_time(), **values})


def _leave(
    session: Session,
    lease: Lease,
    outcome: Outcome,
    conditions: tuple[ColumnElement[bool], ...],
    values: dict[str, Any],
) -> bool:
    left = update(Job).where(*_held(lease), *conditions).values(lease_until=None, **values)
    if not _happened(session, left):
        return False
    record_attempt(session, lease, outcome, was_given_back="attempt" in values)
    return True


_UNSYNCED: dict[str, Any] = {"execution_options": {"synchronize_session": False}}
"""Rows are read again where they are needed; matching objects in the session against an UPDATE would cost a query."""


def _happened(session: Session | Connection, statement: Update, parameters: dict[str, Any] | None = None) -> bool:
    return cast("CursorResult[Any]", session.execute(statement, parameters, **_UNSYNCED)).rowcount == 1


# The three statements of each job that goes well are made once, of columns instead of the model: made for each job,
# they would take longer than the database does.
_LOOK = select(*READ, _row.attempt, _row.fence, _row.started_at, database_time().label("now")).where(
    _row.id == bindparam("job_id"), _row.state == JobState.QUEUED, _row.run_after <= database_time()
)

_CLAIM = (
    update(_jobs)
    .where(
        _row.id == bindparam("job_id"),
        _row.state == JobState.QUEUED,
        _row.fence == bindparam("seen_fence"),
        _row.run_after <= bindparam("now"),
    )
    .values(
        state=JobState.RUNNING,
        fence=bindparam("next_fence"),
        attempt=bindparam("next_attempt"),
        worker=bindparam("by"),
        claimed_at=bindparam("now"),
        lease_until=bindparam("until"),
        started_at=bindparam("first_start"),
    )
)

_SUCCEED = (
    update(_jobs)
    .where(*_held(Lease(cast("UUID", bindparam("job_id")), cast("int", bindparam("fence_held")))))
    .values(
        state=JobState.SUCCEEDED,
        lease_until=null(),
        finished_at=database_time(),
        result=bindparam("what_came_out"),
        error=null(),
    )
)
