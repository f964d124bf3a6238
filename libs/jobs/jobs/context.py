"""What a handler holds of its job: its input, its checkpoint, and steps that commit only while the lease holds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from mimetypes import guess_type
from typing import Any, BinaryIO
from uuid import UUID

from common.db import Database
from sqlalchemy.orm import Session

from jobs import transitions
from jobs.errors import LeaseLost
from jobs.files import FileStore
from jobs.models.job import Job
from jobs.transitions import Lease


class Step:
    """One transaction of a job. What is written through `session` is committed with the checkpoint, or not at all."""

    def __init__(self, session: Session, job_id: UUID, owner_id: UUID) -> None:
        self.session = session
        self.saved: dict[str, Any] | None = None
        self.done = 0
        self._job_id = job_id
        self._owner_id = owner_id

    def save(self, checkpoint: dict[str, Any], *, done: int, total: int | None, unit: str) -> None:
        """Say where the next attempt starts if this one ends here, and how far the job is; committed with the step.

        `total` is None while it is not known. The checkpoint is JSON of a few KiB.
        """
        self.saved = {"checkpoint": checkpoint, "progress": {"done": done, "total": total, "unit": unit}}
        self.done = done

    def append_file(self, name: str, data: bytes) -> None:
        """Append to the job's file of that name, which is made at the first call; its type follows from the name."""
        content_type = guess_type(name)[0] or "application/octet-stream"
        store = FileStore()
        store.append(self.session, self._job_id, name, data, owner_id=self._owner_id, content_type=content_type)


class JobContext:
    """A running job as its handler sees it.

    `checkpoint` is what the last committed step saved, None at the first start. `attempt` counts from 1.
    """

    def __init__(self, database: Database, job: Job, check: Callable[[], None]) -> None:
        """`check` raises JobInterrupted when the attempt has to end."""
        self.job_id = job.id
        self.owner_id = job.owner_id
        self.attempt = job.attempt
        self.checkpoint = job.checkpoint
        self.has_advanced = False
        self._lease = Lease(job.id, job.fence)
        self._done = job.progress["done"] if job.progress else 0
        self._database = database
        self._check = check

    def check(self) -> None:
        """Return at once while the job may go on; raises JobInterrupted (not an Exception) when it has to stop."""
        self._check()

    def open_file(self, file_id: UUID) -> BinaryIO:
        """Return a buffered, seekable stream over a stored file; each read is a short transaction of its own."""
        return FileStore().open_file(self._database, file_id)

    @contextmanager
    def step(self) -> Iterator[Step]:
        """One transaction, committed at the end of the block if this worker still owns the job.

        Raises LeaseLost (and rolls back) when it does not. A deadlock or a lost connection is raised as it is: the
        job is then tried again from the last checkpoint.
        """
        self.check()
        with self._database.write() as session:
            step = Step(session, self.job_id, self.owner_id)
            yield step
            # Last, so that the job's row is locked briefly and heartbeats get through while the step works.
            if not self._guarded(session, step):
                raise LeaseLost
            session.commit()
        self._remember(step)

    def _guarded(self, session: Session, step: Step) -> bool:
        session.flush()
        if step.saved is None:
            return transitions.guard(session, self._lease)
        return transitions.save_progress(session, self._lease, step.saved, advanced=step.done > self._done)

    def _remember(self, step: Step) -> None:
        if step.saved is not None:
            self.checkpoint = step.saved["checkpoint"]
            self.has_advanced = self.has_advanced or step.done > self._done
            self._done = max(self._done, step.done)
