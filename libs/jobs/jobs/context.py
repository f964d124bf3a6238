"""What a handler holds of its job: its input, its checkpoint, and chunks that commit only while the lease holds."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from mimetypes import guess_type
from typing import Any, BinaryIO, TypeVar
from uuid import UUID

from common.db import run_write
from common.db.sessions import WriteSession
from common.errors import DomainError
from pydantic import BaseModel
from sqlalchemy.orm import Session

from jobs import effects, transitions
from jobs.claimed_job import ClaimedJob
from jobs.errors import EffectNotDeclared, LeaseLost, UnknownOutcome
from jobs.files import FileStore
from jobs.insist import insist
from jobs.kinds import Declaration, Kind
from jobs.lease import Lease
from jobs.relay import STEPS, Relayed, relay_once, step_of
from jobs.site import Site
from jobs.states import EffectState

T = TypeVar("T")

PROGRESS_PAUSE_SECONDS = 1.0


class Chunk:
    """One transaction of a job. What is written through `session` is committed with the checkpoint, or not at all."""

    def __init__(self, session: Session, files: FileStore, job_id: UUID, owner_id: UUID) -> None:
        self.session = session
        self._files = files
        self.saved: dict[str, Any] | None = None
        self.done = 0
        self._job_id = job_id
        self._owner_id = owner_id

    def save(self, checkpoint: dict[str, Any], *, done: int, total: int | None, unit: str) -> None:
        """Say where the next attempt starts if this one ends here, and how far the job is; committed with the chunk.

        `total` is None while it is not known. The checkpoint is JSON of a few KiB.
        """
        self.saved = {"checkpoint": checkpoint, "progress": _progress(done, total, unit)}
        self.done = done

    def append_file(self, name: str, data: bytes) -> None:
        """Append to the job's file of that name, which is made at the first call; its type follows from the name."""
        content_type = guess_type(name)[0] or "application/octet-stream"
        self._files.append(self.session, self._job_id, name, data, owner_id=self._owner_id, content_type=content_type)


class JobContext:
    """A running job as its handler sees it.

    `checkpoint` is what the last committed chunk saved, None at the first start. `attempt` counts from 1.
    """

    def __init__(self, site: Site, job: ClaimedJob, kind: Declaration, check: Callable[[], None]) -> None:
        """`check` raises JobInterrupted when the attempt has to end."""
        self.job_id = job.id
        self.owner_id = job.owner_id
        self.attempt = job.attempt
        self.checkpoint = job.checkpoint
        self.has_advanced = False
        self._lease = Lease(job.id, job.fence)
        self._done = job.progress["done"] if job.progress else 0
        self._next_progress_at = 0.0
        self._site = site
        self._database = site.database
        self._traceparent = job.traceparent
        self._kind = kind
        self._check = check

    def check(self) -> None:
        """Return at once while the job may go on; raises JobInterrupted (not an Exception) when it has to stop."""
        self._check()

    def open_file(self, file_id: UUID) -> BinaryIO:
        """Return a buffered, seekable stream over a stored file; each read is a short transaction of its own."""
        return self._site.files.open_file(self._database, file_id)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session to read with, outside of any transaction; it refuses writes."""
        with self._database.read() as session:
            yield session

    @contextmanager
    def chunk(self) -> Iterator[Chunk]:
        """One transaction, committed at the end of the block if this worker still owns the job.

        Raises LeaseLost (and rolls back) when it does not. A deadlock or a lost connection is raised as it is: the
        job is then tried again from the last checkpoint.
        """
        self.check()
        with self._database.write() as session:
            chunk = Chunk(session, self._site.files, self.job_id, self.owner_id)
            yield chunk
            # Last, so that the job's row is locked briefly and heartbeats get through while the chunk works.
            if not self._guarded(session, chunk):
                raise LeaseLost
            session.commit()
        self._remember(chunk)

    def progress(self, done: int, total: int | None, unit: str) -> None:
        """Show how far the job is, for handlers that write no chunks; at most one call a second reaches the database.

        It is what the owner sees, not where the next attempt starts. Raises as `check()` does, and LeaseLost.
        """
        self.check()
        if time.monotonic() < self._next_progress_at:
            return
        self._next_progress_at = time.monotonic() + PROGRESS_PAUSE_SECONDS
        with self._database.write() as session:
            shown = {"progress": _progress(done, total, unit)}
            if not transitions.save_progress(session, self._lease, shown, advanced=False):
                raise LeaseLost
            session.commit()

    def effect(self, step: str, act: Callable[[str], str | None]) -> str | None:
        """Do something outside the database, and return what its receiver calls it (None where it has no name).

        `act` gets the key to pass to the receiver, the same for every attempt, and returns the receiver's id. A step
        that is known to have happened is not done again. Where an earlier attempt left it open, or `act` raises, it may
        have happened: an "at_least_once" kind does it again, with the same key; an "at_most_once" kind ends as failed,
        with the code unknown-outcome. A DomainError raised by `act` says that nothing happened.
        Raises as `check()` does, LeaseLost, and EffectNotDeclared for kinds with effects="database".
        """
        if not 0 < len(step) <= effects.MAX_STEP_CHARACTERS:
            raise ValueError(f"the name of a step has 1 to {effects.MAX_STEP_CHARACTERS} characters")
        if step.startswith(STEPS):
            raise ValueError(f'the name of a step does not begin with "{STEPS}"')
        if self._kind.effects == "database":
            raise EffectNotDeclared(self._kind.name)
        self.check()
        known = self._write(lambda session: effects.begin(session, self._lease, step))
        if known and known.state is EffectState.DONE:
            return known.external_id
        is_once = self._kind.effects == "at_most_once"
        if known and is_once:
            raise UnknownOutcome(step)
        external_id = self._act(step, act, is_once=is_once)
        # It has happened, so whoever wants to know has to find it here, whatever the database does at the moment.
        insist(
            lambda: self._write(lambda session: effects.finish(session, self._lease, step, external_id)),
            self._site.timing.lease_seconds,
        )
        self.has_advanced = True
        return external_id

    def relay(
        self, store: str, kind: Declaration | Kind, payload: BaseModel, *, step: str = "", **options: Any
    ) -> UUID:
        """Put a job of the same owner into another store, committed there at once, and return its id.

        Called again, by whatever attempt, it returns that id instead of making a second job, however long ago that was.
        `step` is for a job that relays several of one kind. Options are those of `enqueue`. Raises as `check()` does,
        LeaseLost, UnknownStore, and UnknownOutcome where an attempt a day ago left open whether the job was put there.
        """
        self.check()
        name = step_of(store, kind, step)
        key = f"{self._site.store}:{self.job_id}" + (f":{step}" if step else "")
        owner_id = options.pop("owner_id", self.owner_id)
        options = {"payload": payload, "traceparent": self._traceparent} | options
        other = self._site.stores.database(store)
        job_id, is_news = relay_once(self._write, self._lease, name, other, Relayed(kind, owner_id, key, options))
        self.has_advanced = self.has_advanced or is_news
        return job_id

    def _act(self, step: str, act: Callable[[str], str | None], *, is_once: bool) -> str | None:
        try:
            return act(effects.effect_key(self.job_id, step))
        except DomainError:
            self._write(lambda session: effects.withdraw(session, self._lease, step))
            raise
        except Exception as error:
            if is_once:
                raise UnknownOutcome(step) from error
            raise

    def _write(self, work: Callable[[WriteSession], T]) -> T:
        def write(session: WriteSession) -> T:
            result = work(session)
            session.commit()
            return result

        return run_write(self._database, write)

    def _guarded(self, session: Session, chunk: Chunk) -> bool:
        session.flush()
        if chunk.saved is None:
            return transitions.guard(session, self._lease)
        return transitions.save_progress(session, self._lease, chunk.saved, advanced=chunk.done > self._done)

    def _remember(self, chunk: Chunk) -> None:
        if chunk.saved is not None:
            self.checkpoint = chunk.saved["checkpoint"]
            self.has_advanced = self.has_advanced or chunk.done > self._done
            self._done = max(self._done, chunk.done)


def _progress(done: int, total: int | None, unit: str) -> dict[str, Any]:
    return {"done": done, "total": total, "unit": unit}
