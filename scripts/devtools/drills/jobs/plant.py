"""Workers, dispatchers, an api, a broker and a database in which a drill's jobs are."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from common.db import Database
from common.testing.valkey import ValkeyServer
from jobs.enqueue import enqueue
from jobs.kinds import Declaration
from jobs.testing import StoreHarness
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from devtools.drills.jobs.kinds import WORK, Work
from devtools.drills.jobs.ledger import Verdict, count_unfinished, judge, make_ledger
from devtools.drills.jobs.member import Member
from devtools.live import Unexpected

LEASE_SECONDS = 4
HEARTBEAT_SECONDS = LEASE_SECONDS / 3
REDISPATCH_SECONDS = 4
SOFT_WINDOW_SECONDS = 3
START_SECONDS = 120
STORE = "api"


class Plant:
    """One store and what works on it. Nothing runs until it is started."""

    def __init__(self, folder: Path, url: str, broker: ValkeyServer, free_port: Callable[[], int]) -> None:
        """`url` is that of a migrated database of the api."""
        self.folder, self.url, self.broker = folder, url, broker
        # Statements of the drill itself give up soon, so that it goes on while the database is away.
        self.store = StoreHarness(Database(url, pool_size=8, read_timeout_seconds=5))
        self.workers: list[Member] = []
        self.dispatchers: list[Member] = []
        self._others: list[Member] = []
        self._free_port = free_port
        make_ledger(self.store.database)

    @property
    def members(self) -> list[Member]:
        """Everything but the broker and the database."""
        return list({id(each): each for each in [*self.workers, *self.dispatchers, *self._others]}.values())

    def add_worker(self, **variables: str) -> Member:
        """Start one more worker, with two processes."""
        program, name = ["-m", "devtools.drills.jobs.worker"], f"worker-{len(self.workers)}"
        own = {
            "WORKER_CONCURRENCY": "2",
            "WORKER_SOFT_SHUTDOWN_SECONDS": str(SOFT_WINDOW_SECONDS),
            # A killed worker leaves its directory behind; pytest clears this one.
            "PROMETHEUS_MULTIPROC_DIR": str(self.folder / f"{name}-metrics"),
        }
        self.workers.append(self._start(name, program, own | variables))
        return self.workers[-1]

    def add_dispatcher(self, **variables: str) -> Member:
        """Start one more dispatcher."""
        program = ["-m", "devtools.drills.jobs.dispatcher"]
        own = {"DISPATCHER_REDISPATCH_SECONDS": str(REDISPATCH_SECONDS)}
        self.dispatchers.append(self._start(f"dispatcher-{len(self.dispatchers)}", program, own | variables))
        return self.dispatchers[-1]

    def find(self, name: str) -> Member:
        """The program of that name."""
        return next(member for member in self.members if member.name == name)

    def add_program(self, name: str, arguments: list[str], **variables: str) -> Member:
        """Start something else that knows the broker and the store."""
        self._others.append(self._start(name, arguments, variables))
        return self._others[-1]

    def add_api(self, issuer: str, key_set: Path) -> str:
        """Start an api that takes the tokens of this issuer, and return its address."""
        port, program = (
            self._free_port(),
            ["-m", "gunicorn", "-c", "python:common.gunicorn_conf", "api_service.wsgi:app"],
        )
        own = {"HOST": "127.0.0.1", "PORT": str(port), "WEB_WORKERS": "2", "DATABASE_URL": self.url}
        keys = {"AUTH_ISSUER": issuer, "AUTH_JWKS_FILE": str(key_set), "AUTH_JWKS_URL": f"{issuer}/not-there.json"}
        self.add_program("api", program, **own, **keys, LOG_LEVEL="warning")
        return f"http://127.0.0.1:{port}"

    def start(self, workers: int = 2, dispatchers: int = 1) -> "Plant":
        """Start so many, and wait until the workers take jobs."""
        for _ in range(dispatchers):
            self.add_dispatcher()
        for _ in range(workers):
            self.add_worker()
        self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        """Wait until all workers take jobs."""
        self.wait_until(lambda: all(worker.is_ready for worker in self.workers), START_SECONDS, "workers are ready")

    def wait_until(self, condition: Callable[[], object], seconds: float, wanted: str) -> float:
        """Return how long it took; Unexpected, naming what was wanted and who said what, if too long."""
        begun = time.monotonic()
        while not self._holds(condition):
            if time.monotonic() - begun > seconds:
                ends = "\n".join(f"--- {member.name}\n{member.log()[-2000:]}" for member in self.members)
                raise Unexpected(f"not within {seconds} s: {wanted}\n{ends}")
            time.sleep(0.1)
        return time.monotonic() - begun

    def settle(self, seconds: float) -> float:
        """Wait until every job is finished; return how long it took. Unexpected where none is for so many seconds."""
        begun, left = time.monotonic(), math.inf

        def some_are_finished() -> bool:
            nonlocal left
            before, left = left, count_unfinished(self.store.database)
            return left < before

        while left:
            self.wait_until(some_are_finished, seconds, f"one of {left} jobs is finished")
        return time.monotonic() - begun

    def accept(self, payload: BaseModel | None = None, kind: Declaration = WORK, **options: Any) -> UUID:
        """Accept a job as a service does, and return its id; options are those of `enqueue`."""
        with self.store.database.write() as session:
            owner_id = self.store.owner_id
            job = enqueue(session, owner_id=owner_id, kind=kind, payload=payload or Work(), **options)
            session.commit()
            return job.id

    def judge(self, accepted: set[UUID]) -> Verdict:
        """What became of the jobs."""
        return judge(self.store.database, accepted)

    def errors_without_job(self) -> list[str]:
        """What workers and dispatchers said at ERROR without naming a job."""
        ours = [*self.workers, *self.dispatchers]
        return [f"{each.name}: {line}" for each in ours for line in each.errors_without_job()]

    def close(self) -> None:
        """End everything."""
        for member in self.members:
            member.thaw()
            member.kill()
        self.store.database.dispose()

    def _start(self, name: str, program: list[str], variables: dict[str, str]) -> Member:
        env = {
            "APP_ENV": "testing",
            "BROKER_URL": self.broker.url,
            "JOB_STORES": f"{STORE}={self.url}",
            "JOB_LEASE_SECONDS": str(LEASE_SECONDS),
            "METRICS_PORT": str(self._free_port()),
            "LOG_LEVEL": "info",
        }
        member = Member(name, self.folder, program, env | variables)
        member.start()
        return member

    def _holds(self, condition: Callable[[], object]) -> bool:
        try:
            return bool(condition())
        except SQLAlchemyError:  # the database is away, which is what a drill may be about
            return False
