"""Running many dead or failed jobs again, at a pace that what broke can bear."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVarTuple
from uuid import UUID

import structlog
from common.db import Database, run_write
from common.db.sessions import WriteSession
from sqlalchemy import ColumnElement, Select, func, or_, select

from jobs import transitions
from jobs.database_time import database_time
from jobs.models.job import Job
from jobs.states import JobState

log = structlog.get_logger(__name__)

BATCH = 100
"""Jobs queued in one transaction."""
LOOKED_AT = 10_000
"""Rows one statement looks at: no index holds kind and error, and looking for rare ones must not take for ever."""

Ts = TypeVarTuple("Ts")

Conditions = tuple[ColumnElement[bool], ...]


@dataclass(frozen=True)
class Chosen:
    """Jobs of this state, of this kind and with this code of their error where one is named.

    Those with an unknown outcome are never among them: somebody has to look at each.
    """

    state: JobState = JobState.DEAD
    kind: str | None = None
    error_code: str | None = None

    @property
    def conditions(self) -> Conditions:
        wanted = [Job.state == self.state, transitions.outcome_is_known()]
        wanted += [] if self.kind is None else [Job.kind == self.kind]
        wanted += [] if self.error_code is None else [Job.error["code"].as_string() == self.error_code]
        return tuple(wanted)


def redrive_jobs(database: Database, chosen: Chosen, *, by: str, per_second: float = 10, limit: int = 1000) -> int:
    """Queue up to `limit` of the jobs again, the longest ended first; return how many. `by` names the operator.

    They become due one after the other, `per_second` of them: what they died of may still be there. They are looked for
    without locks, and each batch of 100 commits by itself, so it can be ended and called again.
    """
    until = _now(database)
    done = 0
    for found in _batches(database, chosen, until):
        # Under the lock again: another operator may have been faster, and one that died again since had its turn.
        mine = _by_id(found[: limit - done]).where(*chosen.conditions, Job.finished_at <= until)
        done += run_write(database, partial(_redrive, mine, by, done, per_second))
        if done >= limit:
            break
    log.info("jobs_redriven", count=done, kind=chosen.kind, state=chosen.state, by=by)
    return done


def count_redrivable(database: Database, chosen: Chosen) -> int:
    """Return how many jobs `redrive_jobs` would queue again without a limit."""
    counted = 0
    for near in _stretches(database, chosen.state, _now(database)):
        counting = _by_end(select(func.count()).select_from(Job)).where(*near, *chosen.conditions)
        with database.read() as session:
            counted += session.scalars(counting).one()
    return counted


def _redrive(mine: Select[UUID], by: str, before: int, per_second: float, session: WriteSession) -> int:
    done = 0
    for job_id in session.scalars(mine).all():
        done += transitions.redrive(session, job_id, by, (before + done) / per_second)
    session.commit()
    return done


def _now(database: Database) -> datetime:
    with database.read() as session:
        return session.scalars(select(database_time())).one()


def _batches(database: Database, chosen: Chosen, until: datetime) -> Iterator[list[UUID]]:
    for near in _stretches(database, chosen.state, until):
        finding = _by_end(select(Job.id)).where(*near, *chosen.conditions).order_by(Job.finished_at, Job.id)
        with database.read() as session:
            job_ids = list(session.scalars(finding))
        for first in range(0, len(job_ids), BATCH):
            yield job_ids[first : first + BATCH]


def _stretches(database: Database, state: JobState, until: datetime) -> Iterator[Conditions]:
    """Conditions for the jobs that ended in this state, LOOKED_AT of them at a time, the longest ended first."""
    left: Conditions = (Job.state == state, Job.finished_at <= until)
    while True:
        last = _by_end(select(Job.finished_at, Job.id)).where(*left).order_by(Job.finished_at, Job.id)
        with database.read() as session:
            end = session.execute(last.offset(LOOKED_AT - 1).limit(1)).first()
        if end is None:
            yield left
            return
        ended_at, job_id = end
        yield (*left, Job.finished_at <= ended_at, or_(Job.finished_at < ended_at, Job.id <= job_id))
        left = (*left[:2], Job.finished_at >= ended_at, or_(Job.finished_at > ended_at, Job.id > job_id))


def _by_end(query: Select[*Ts]) -> Select[*Ts]:
    """Several indexes begin with the state, and only one goes on with the end."""
    return query.with_hint(Job, "FORCE INDEX (ix_jobs_state_finished_at)", "mysql")


def _by_id(job_ids: list[UUID]) -> Select[UUID]:
    # Told nothing, MySQL looks for so many by their state, and locks what it passes.
    named = select(Job.id).where(Job.id.in_(job_ids)).order_by(Job.finished_at, Job.id)
    return named.with_hint(Job, "FORCE INDEX (PRIMARY)", "mysql").with_for_update(skip_locked=True)
