"""What an operator sees of the jobs of a store, whoever owns them. Payloads may be personal data and stay unread."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, or_, select
from sqlalchemy.orm import Session, defer
from sqlalchemy.sql.elements import UnaryExpression

from jobs.attempt_records import with_last
from jobs.effects import list_effects
from jobs.errors import JobNotFound
from jobs.models import Job, JobAttempt, JobEffect
from jobs.states import JobState

LOOKED_AT = 10_000
"""Rows one page of a list by kind looks at: no index holds the kind, and a rare one must not cost the whole table."""

_BY_END = "ix_jobs_state_finished_at"
_UNREAD = (defer(Job.payload), defer(Job.checkpoint), defer(Job.result))


@dataclass(frozen=True)
class Wanted:
    """Which jobs to list; None: any."""

    state: JobState | None = None
    kind: str | None = None
    owner_id: UUID | None = None


@dataclass(frozen=True)
class Place:
    """A job in a list, and when it ended."""

    finished_at: datetime | None
    job_id: UUID


@dataclass(frozen=True)
class History:
    """A job with what was tried and what it did outside the database; its payload is not loaded."""

    job: Job
    attempts: list[JobAttempt]
    effects: list[JobEffect]


def list_all_jobs(session: Session, wanted: Wanted, limit: int, after: Place | None) -> tuple[list[Job], Place | None]:
    """Return up to `limit` jobs, newest first, and the place the next page starts after, None on the last page.

    Those of one state and no owner in particular are in the order they ended, the last first. A page by kind looks at
    no more than LOOKED_AT jobs and may be short, or empty, with others to come.
    """
    order = _Order.of(wanted)
    list_ = order.after(after)
    if wanted.kind is not None:
        return _page_of_kind(session, list_, wanted.kind, limit, by_end=order.index == _BY_END)
    jobs = session.scalars(list_.options(*_UNREAD).limit(limit + 1)).all()
    return list(jobs[:limit]), _place(jobs[limit - 1]) if len(jobs) > limit else None


def show_job(session: Session, job_id: UUID, *, with_payload: bool = False) -> History:
    """Return the job with its attempts, oldest first, and its effects. Raises JobNotFound."""
    query = select(Job).where(Job.id == job_id)
    job = session.scalars(query if with_payload else query.options(*_UNREAD)).one_or_none()
    if job is None:
        raise JobNotFound
    written = session.scalars(select(JobAttempt).where(JobAttempt.job_id == job_id).order_by(JobAttempt.fence)).all()
    return History(job, with_last(job, written), list_effects(session, job_id))


def _page_of_kind(
    session: Session, list_: Select[Job], kind: str, limit: int, *, by_end: bool
) -> tuple[list[Job], Place | None]:
    near = list_.with_only_columns(Job.id, Job.kind, Job.finished_at).limit(LOOKED_AT).subquery()
    # No index holds these, so they are sorted: 10,000 rows at most.
    order = [near.c.finished_at.desc(), near.c.id.desc()] if by_end else [near.c.id.desc()]
    found = select(near.c.id).where(near.c.kind == kind).order_by(*order)
    ids = session.scalars(found.limit(limit + 1)).all()
    rows = {job.id: job for job in session.scalars(select(Job).where(Job.id.in_(ids)).options(*_UNREAD))} if ids else {}
    jobs = [rows[job_id] for job_id in ids[:limit] if job_id in rows]  # one may have been purged since
    if len(ids) > limit and jobs:
        return jobs, _place(jobs[-1])
    return jobs, _end_of_look(session, list_)


_INDEXES = {
    (True, False): _BY_END,
    (False, True): "ix_jobs_owner_id_id",
    (True, True): "ix_jobs_state_owner_id",
}
"""By whether a state and whether an owner is wanted."""


@dataclass(frozen=True)
class _Order:
    """One list of jobs and the index that holds it in its order."""

    conditions: tuple[ColumnElement[bool], ...]
    by: tuple[UnaryExpression[Any], ...]
    index: str | None

    @classmethod
    def of(cls, wanted: Wanted) -> "_Order":
        """Ordered by all columns of the index: MySQL reads it backwards then."""
        conditions: list[ColumnElement[bool]] = []
        by: list[UnaryExpression[Any]] = []
        if wanted.state is not None:
            conditions.append(Job.state == wanted.state)
            by.append(Job.state.desc())
        if wanted.owner_id is not None:
            conditions.append(Job.owner_id == wanted.owner_id)
            by.append(Job.owner_id.desc())
        index = _INDEXES.get((wanted.state is not None, wanted.owner_id is not None))
        by += [Job.finished_at.desc()] if index == _BY_END else []
        return cls(tuple(conditions), (*by, Job.id.desc()), index)

    def after(self, place: Place | None) -> Select[Job]:
        """The list after this place, from its beginning without one."""
        query = select(Job).where(*self.conditions).order_by(*self.by)
        if self.index is not None:
            # Four indexes begin with the state, and MySQL takes another, and sorts, where few rows match.
            query = query.with_hint(Job, f"FORCE INDEX ({self.index})", "mysql")
        if place is None:
            return query
        if self.index != _BY_END:
            return query.where(Job.id < place.job_id)
        if place.finished_at is None:
            return query.where(Job.finished_at.is_(None), Job.id < place.job_id)
        same = and_(Job.finished_at == place.finished_at, Job.id < place.job_id)
        return query.where(or_(Job.finished_at < place.finished_at, same))


def _place(job: Job | Row[datetime | None, UUID]) -> Place:
    return Place(job.finished_at, job.id)


def _end_of_look(session: Session, list_: Select[Job]) -> Place | None:
    """The last of the jobs a page looked at; None when there were no more."""
    last = list_.with_only_columns(Job.finished_at, Job.id).offset(LOOKED_AT - 1).limit(2)
    found: Sequence[Row[datetime | None, UUID]] = session.execute(last).all()
    return _place(found[0]) if len(found) > 1 else None
