"""Short ways for tests to arrange jobs in a store and to look at them."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from common.db import Database
from common.ids import new_id
from pydantic import BaseModel
from sqlalchemy import select, update

from jobs.attempt_records import list_attempts
from jobs.enqueue import enqueue
from jobs.kinds import Declaration, Kind, job_kind
from jobs.lease import Lease
from jobs.models import Job, JobAttempt
from jobs.registry import Registry
from jobs.runner import Runner
from jobs.stores import Stores
from jobs.transitions import claim


class Numbers(BaseModel):
    """A payload."""

    count: int = 0


class StoreHarness:
    """A job store with one owner; each call is a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.owner_id = new_id()

    def enqueue(self, kind: Declaration | Kind | str = "numbers", count: int = 0, **options: Any) -> UUID:
        """Accept a job of a kind whose payload is `Numbers`; a name alone is version 1 with the default limits."""
        declared = job_kind(kind, 1, payload=Numbers) if isinstance(kind, str) else kind
        with self.database.write() as session:
            job = enqueue(session, owner_id=self.owner_id, kind=declared, payload=Numbers(count=count), **options)
            session.commit()
            return job.id

    def run(self, kind: Kind, payload: BaseModel, **options: Any) -> Job:
        """Accept a job of this kind, run it here and now without a broker, and return its row; options as `enqueue`."""
        with self.database.write() as session:
            job = enqueue(session, owner_id=self.owner_id, kind=kind, payload=payload, **options)
            session.commit()
        return self.run_again(kind, job.id)

    def run_again(self, kind: Kind, job_id: UUID) -> Job:
        """The next attempt at the job, whatever delay its last one asked for."""
        self.change(job_id, run_after=self.job(job_id).created_at)
        Runner(Stores({"test": "unused"}, lambda url: self.database), Registry(kind)).run("test", job_id)
        return self.job(job_id)

    def claim(self, job_id: UUID, worker: str = "w1", lease_seconds: float = 30) -> Lease | None:
        with self.database.statements() as session:
            job = claim(session, job_id, worker, lease_seconds)
        return None if job is None else Lease(job.id, job.fence)

    def start(self, **options: Any) -> Lease:
        lease = self.claim(self.enqueue(**options))
        if lease is None:
            raise LookupError("the job could not be claimed")
        return lease

    def transition(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        with self.database.write() as session:
            result = function(session, *args, **options)
            session.commit()
            return result

    def job(self, job_id: UUID) -> Job:
        with self.database.read() as session:
            return session.scalars(select(Job).where(Job.id == job_id)).one()

    def ids(self) -> list[UUID]:
        with self.database.read() as session:
            return list(session.scalars(select(Job.id)))

    def attempts(self, job_id: UUID) -> list[JobAttempt]:
        with self.database.read() as session:
            return list_attempts(session, job_id)

    def change(self, job_id: UUID, **values: Any) -> None:
        with self.database.write() as session:
            session.execute(update(Job).where(Job.id == job_id).values(**values))
            session.commit()
