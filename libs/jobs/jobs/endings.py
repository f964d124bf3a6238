"""What the end of a handler's run means for its job."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from common.db import Database, run_write
from common.db.retry import is_conflict, is_connection_lost, is_refused
from common.db.sessions import WriteSession
from common.errors import DomainError
from pydantic import BaseModel
from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from jobs import transitions
from jobs.backoff import backoff_seconds
from jobs.errors import DeadlineExceeded, JobCancelled, JobInterrupted, LeaseLost, TimeLimitExceeded
from jobs.files.errors import FileDamaged, PieceMissing
from jobs.lease import Lease
from jobs.models.job import Job
from jobs.states import JobState, Outcome
from jobs.transitions import Error

MAX_RESULT_BYTES = 64 * 1024


@dataclass(frozen=True)
class Budget:
    """The attempt that ended, and what is left: `has_advanced` if it committed progress before it failed."""

    attempt: int
    max_attempts: int
    has_advanced: bool = False

    @property
    def is_used_up(self) -> bool:
        return self.attempt >= self.max_attempts


@dataclass(frozen=True)
class Ending:
    """How an attempt is to end, and the transition that says so."""

    outcome: Outcome
    transition: Callable[[Session, Lease], bool]
    error: Error | None = None

    def write(self, database: Database, lease: Lease) -> Outcome | None:
        """Return how the attempt ended: as meant, or cancelled where its owner asked for that meanwhile.

        None if the lease is lost.
        """

        def work(session: WriteSession) -> Outcome | None:
            outcome = self._written(session, lease)
            session.commit()
            return outcome

        return run_write(database, work)

    def _written(self, session: Session, lease: Lease) -> Outcome | None:
        if self.transition(session, lease):
            return self.outcome
        queued_again = self.outcome in {Outcome.RETRIED, Outcome.RELEASED}
        return Outcome.CANCELLED if queued_again and transitions.stop_cancelled(session, lease) else None


@dataclass(frozen=True)
class Success:
    """The end of most attempts, written by a single statement."""

    result: dict[str, Any] | None
    outcome = Outcome.SUCCEEDED
    error = None

    def write(self, database: Database, lease: Lease) -> Outcome | None:
        """As of any ending, and succeeded, too, where this was written before and nobody answered."""
        with database.statement_engine.connect() as connection:
            if transitions.succeed(connection, lease, self.result) or has_succeeded(connection, lease):
                return self.outcome
        return None


def has_succeeded(connection: Connection, lease: Lease) -> bool:
    """Whether the job ended by this very lease: nobody else ever has its fence."""
    ended = (Job.state == JobState.SUCCEEDED, Job.fence == lease.fence)
    return connection.scalars(select(Job.id).where(Job.id == lease.job_id, *ended)).first() is not None


RELEASED = Ending(Outcome.RELEASED, transitions.release)
CANCELLED = Ending(Outcome.CANCELLED, transitions.stop_cancelled)


def of_result(result: BaseModel | None) -> Ending | Success:
    """Succeeded, unless the result is over 64 KiB: that belongs into a file."""
    text = "null" if result is None else result.model_dump_json()
    if len(text.encode()) > MAX_RESULT_BYTES:
        return failed("result-too-large", f"The job's result has more than {MAX_RESULT_BYTES} bytes.")
    return Success(json.loads(text))


def of_error(error: BaseException, budget: Budget) -> Ending:
    """Tell errors that trying again would not help from those it may."""
    match error:
        case JobInterrupted():
            return _of_interruption(error, budget)
        case DomainError():
            return _of_refusal(error, budget)
        case PieceMissing():
            return retried(budget, error.code, "A file of this job cannot be read.")
        case FileDamaged():
            return failed(error.code, "A file of this job is not what was stored; it would not be on trying again.")
        case _ if is_conflict(error) or is_connection_lost(error) or is_refused(error):
            return retried(budget, "database-busy", "The database did not let a chunk through.", is_transient=True)
        case _:
            return retried(budget, "handler-error", f"The handler failed with {type(error).__name__}.")


def _of_interruption(error: JobInterrupted, budget: Budget) -> Ending:
    match error:
        case JobCancelled():
            return CANCELLED
        case DeadlineExceeded():
            return failed("deadline-exceeded", "The job was not done by its deadline.")
        case TimeLimitExceeded():
            return out_of_time(budget)
        case LeaseLost():
            # If it is still ours, the job goes on elsewhere; but not for ever, if no lease lasts until its next chunk.
            return retried(budget, "lease-not-renewed", "Its worker could not renew its lease.", is_transient=True)
        case _:
            return RELEASED


def out_of_time(budget: Budget) -> Ending:
    return retried(budget, "time-limit", "The attempt took longer than this kind of job may.")


def failed(code: str, message: str) -> Ending:
    error = {"code": code, "message": message}
    return Ending(Outcome.FAILED, partial(transitions.fail, error=error), error)


def retried(
    budget: Budget, code: str, message: str, *, delay_seconds: float | None = None, is_transient: bool = False
) -> Ending:
    """Queued again after a while, or dead once all attempts are used up.

    A transient fault costs no attempt if the job had come further: then it cannot go on for ever.
    """
    error = {"code": code, "message": message}
    counted = not (is_transient and budget.has_advanced)
    if counted and budget.is_used_up:
        return Ending(Outcome.DEAD, partial(transitions.die, error=error), error)
    delay = backoff_seconds(budget.attempt if counted else 1) if delay_seconds is None else delay_seconds
    retry = partial(transitions.retry, error=error, delay_seconds=delay, counted=counted)
    return Ending(Outcome.RETRIED, retry, error)


def _of_refusal(error: DomainError, budget: Budget) -> Ending:
    """Domain errors have texts meant for the owner, and are permanent unless they say when to come again."""
    delay = getattr(error, "retry_after_seconds", None)
    code = getattr(error, "code", "refused")
    if delay is None:
        return failed(code, str(error))
    return retried(budget, code, str(error), delay_seconds=delay)
