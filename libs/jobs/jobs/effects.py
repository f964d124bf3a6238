"""Effects of a job outside the database: the intent is committed before, the end after, both under the fence."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, delete, insert, select, update
from sqlalchemy.orm import Session

from jobs import transitions
from jobs.database_time import database_time
from jobs.errors import LeaseLost
from jobs.lease import Lease
from jobs.models.effect import JobEffect
from jobs.states import EffectState

MAX_STEP_CHARACTERS = 64
MAX_EXTERNAL_ID_CHARACTERS = 255


def effect_key(job_id: UUID, step: str) -> str:
    """The receiver's idempotency key: the same for every attempt at the step."""
    return f"{job_id}:{step}"


def begin(session: Session, lease: Lease, step: str, external_id: str | None = None) -> JobEffect | None:
    """Write the intent down; return instead what an earlier attempt left. Raises LeaseLost. Commits nothing.

    `external_id` where it is known what its receiver is going to call it.
    """
    if not transitions.guard(session, lease):
        raise LeaseLost
    known = session.scalars(select(JobEffect).where(*_of(lease.job_id, step))).one_or_none()
    if known is None:
        named = {"job_id": lease.job_id, "step": step, "external_id": external_id}
        intent = {**named, "state": EffectState.INTENT, "intended_at": database_time()}
        session.execute(insert(JobEffect).values(intent))
    return known


def get(session: Session, job_id: UUID, step: str) -> JobEffect:
    """The effect of a step that was begun."""
    return session.scalars(select(JobEffect).where(*_of(job_id, step))).one()


def finish(session: Session, lease: Lease, step: str, external_id: str | None) -> None:
    """Write down that it happened, which is progress. Raises LeaseLost. Commits nothing; may be repeated."""
    if not transitions.save_progress(session, lease, {}, advanced=True):
        raise LeaseLost
    # What the receiver calls it is for people and logs: cut rather than refused, because it has happened.
    known_as = external_id and external_id[:MAX_EXTERNAL_ID_CHARACTERS]
    done = {"state": EffectState.DONE, "external_id": known_as, "done_at": database_time()}
    session.execute(update(JobEffect).where(*_of(lease.job_id, step)).values(done))


def withdraw(session: Session, lease: Lease, step: str) -> None:
    """Take the intent back: it certainly did not happen. Raises LeaseLost. Commits nothing."""
    if not transitions.guard(session, lease):
        raise LeaseLost
    session.execute(delete(JobEffect).where(*_open(lease.job_id), JobEffect.step == step))


def forget_open(session: Session, job_id: UUID) -> int:
    """An operator knows that what the job left open did not happen; return how many effects that were."""
    return _count(session.execute(delete(JobEffect).where(*_open(job_id))))


def settle_open(session: Session, job_id: UUID) -> int:
    """An operator knows that what the job left open did happen; return how many effects that were."""
    done = {"state": EffectState.DONE, "done_at": database_time()}
    return _count(session.execute(update(JobEffect).where(*_open(job_id)).values(done)))


def list_effects(session: Session, job_id: UUID) -> list[JobEffect]:
    """The effects of the job, in the order they were begun."""
    query = select(JobEffect).where(JobEffect.job_id == job_id).order_by(JobEffect.intended_at, JobEffect.step)
    return list(session.scalars(query))


def _of(job_id: UUID, step: str) -> tuple[ColumnElement[bool], ...]:
    return JobEffect.job_id == job_id, JobEffect.step == step


def _open(job_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return JobEffect.job_id == job_id, JobEffect.state == EffectState.INTENT


def _count(result: Any) -> int:
    changed: CursorResult[Any] = result
    return changed.rowcount
