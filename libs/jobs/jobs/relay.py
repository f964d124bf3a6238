"""A job in one store that puts a job into another: exactly one, whatever happens to either.

No transaction spans two stores, so the first one remembers (`job_effects`): the id of the second job is committed there
before that job is put into its store, and that it was put there after, both under the fence. What is known as done is
not done again, even if the second job has long been purged. What an attempt left open, because its worker died between
the two commits, is looked for in the other store, by its id and its key. If it is not there, it never was: an ended job
is kept for a day at least, and no job is put there once its intent is older than KEY_STANDS, by the clock of the store
it is put into. After that time the two cannot be told from each other, and the first job fails as unknown-outcome.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar
from uuid import UUID

from common.db import Database
from common.db.sessions import WriteSession
from common.ids import new_id
from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError

from jobs import effects
from jobs.enqueue import enqueue
from jobs.errors import UnknownOutcome
from jobs.kinds import Declaration, Kind
from jobs.lease import Lease
from jobs.models.job import Job
from jobs.states import EffectState

KEY_STANDS = timedelta(hours=23)
"""A day less an hour, as the clocks of two databases may differ."""

STEPS = "relay:"
"""What the names of these steps begin with, and no step of a handler."""

T = TypeVar("T")


class Write(Protocol):
    """Does the work in a transaction of the first store, and commits."""

    def __call__(self, work: Callable[[WriteSession], T]) -> T: ...


@dataclass(frozen=True)
class Relayed:
    """The job that is to be in the other store."""

    kind: Declaration | Kind
    owner_id: UUID
    idempotency_key: str
    options: dict[str, Any]
    """More for `enqueue`."""


@dataclass(frozen=True)
class _Intent:
    step: str
    job_id: UUID
    intended_at: datetime
    is_done: bool
    is_new: bool


def relay_once(write: Write, lease: Lease, step: str, other: Database, relayed: Relayed) -> tuple[UUID, bool]:
    """Put the job into the other store unless it is known to have been there; return its id, and whether that is news.

    Raises LeaseLost, UnknownOutcome, and what `enqueue` and the databases raise.
    """
    intent = write(lambda session: _intend(session, lease, step))
    if intent.is_done:
        return intent.job_id, False
    job_id = _find_or_put(other, intent, relayed, lambda: write(lambda session: effects.withdraw(session, lease, step)))
    write(lambda session: effects.finish(session, lease, step, str(job_id)))
    return job_id, True


def step_of(store: str, kind: Declaration | Kind, step: str) -> str:
    """The name of the step in `job_effects`. Raises ValueError where it is too long."""
    name = ":".join(filter(None, (f"{STEPS}{store}", kind.name, step)))
    if len(name) > effects.MAX_STEP_CHARACTERS:
        raise ValueError(f'"{name}" has more than {effects.MAX_STEP_CHARACTERS} characters; choose a shorter step')
    return name


def _intend(session: WriteSession, lease: Lease, step: str) -> _Intent:
    is_new = effects.begin(session, lease, step, external_id=str(new_id())) is None
    effect = effects.get(session, lease.job_id, step)
    is_done = effect.state is EffectState.DONE
    return _Intent(step, UUID(effect.external_id), effect.intended_at, is_done=is_done, is_new=is_new)


def _find_or_put(other: Database, intent: _Intent, relayed: Relayed, withdraw: Callable[[], None]) -> UUID:
    if not intent.is_new and (found := _find(other, intent, relayed)):
        return found
    try:
        return _put(other, intent, relayed, withdraw)
    except IntegrityError:
        # A worker that was taken for dead, or one of a release that kept no intents.
        if found := _find(other, intent, relayed):
            return found
        raise


def _put(other: Database, intent: _Intent, relayed: Relayed, withdraw: Callable[[], None]) -> UUID:
    sent = False
    try:
        with other.write() as session:
            job = enqueue(
                session,
                job_id=intent.job_id,
                owner_id=relayed.owner_id,
                kind=relayed.kind,
                idempotency_key=relayed.idempotency_key,
                **relayed.options,
            )
            if job.created_at > intent.intended_at + KEY_STANDS:
                raise UnknownOutcome(intent.step)
            sent = True
            session.commit()
            return intent.job_id
    except IntegrityError:
        raise
    except Exception:
        # Nothing was committed, now or by an earlier attempt: the next one may start afresh, whenever that is.
        if intent.is_new and not sent:
            withdraw()
        raise


def _find(other: Database, intent: _Intent, relayed: Relayed) -> UUID | None:
    keyed = (
        (Job.owner_id == relayed.owner_id)
        & (Job.kind == relayed.kind.name)
        & (Job.idempotency_key == relayed.idempotency_key)
    )
    with other.read() as session:
        return session.scalars(select(Job.id).where(or_(Job.id == intent.job_id, keyed)).limit(1)).first()
