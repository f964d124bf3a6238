"""Measure jobs from accepted to done beside plain Celery: on one broker, by one worker, in one run, so ratios hold.

    python libs/jobs/benchmarks/pipeline.py --url mysql+pymysql://user:password@127.0.0.1/any

| figure | at most / at least |
|---|---|
| no-op jobs through the table, as a share of no-op tasks of plain Celery | 25 % |
| from accepted to started, a job each 100 ms, p50 and p95 | a dispatcher's busy pause (50 ms) and the messages' way |
| from accepted to started, when nothing was due for a minute, p95 | its idle pause (250 ms) and the same |

The worker has two processes. Both backlogs are in the broker when it starts; a rate counts from a tenth to the end.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from uuid import UUID

from celery import Celery
from common.db import Database
from common.testing.databases import DatabaseSource, MySQLDatabases, SQLiteDatabases
from common.testing.valkey import ValkeyServer
from jobs.broker import CeleryPublisher, add_run_task, queue_name, worker_settings
from jobs.dispatcher import Pace, StoreDispatcher, rounds
from jobs.kinds import job_kind
from jobs.models import Base
from jobs.registry import Registry
from jobs.runner import Runner
from jobs.stores import Stores
from jobs.testing import Numbers, StoreHarness

STORE, PLAIN = "table", "plain"
PLAIN_TASK = "plain.nothing"
KIND = job_kind("nothing", 1, payload=Numbers)(lambda job, payload: None)


def make_app(broker_url: str, store_url: str) -> Celery:
    """Both tasks: the one of all jobs, and one that does nothing."""
    app = Celery("pipeline")
    app.conf.update(
        worker_settings(broker_url, [STORE, PLAIN], ["default"], concurrency=2, longest_hard_limit_seconds=900)
    )
    runners: list[Runner] = []

    def run(store: str, job_id: UUID) -> None:
        if not runners:  # after the fork
            runners.append(Runner(Stores({STORE: store_url}, lambda url: Database(url, pool_size=3)), Registry(KIND)))
        runners[0].run(store, job_id)

    add_run_task(app, run)
    app.task(name=PLAIN_TASK)(lambda store, job_id: None)
    return app


class Bench:
    """One broker, one store, and workers started for each measurement."""

    def __init__(self, broker: ValkeyServer, url: str) -> None:
        self.broker, self.url = broker, url
        self.store = StoreHarness(Database(url, pool_size=6))
        self.app = make_app(broker.url, url)
        self._waiting = broker.client()

    @contextmanager
    def worker(self) -> Iterator[None]:
        """A worker with two processes."""
        env = {**os.environ, "APP_ENV": "testing"}
        command = [sys.executable, __file__, "--worker", self.broker.url, "--url", self.url]
        with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - this program
            try:
                yield
            finally:
                process.terminate()

    @contextmanager
    def dispatcher(self) -> Iterator[None]:
        """A dispatcher as a thread of this process."""
        stop = threading.Event()
        each = StoreDispatcher(STORE, self.store.database, CeleryPublisher(self.app), Pace(), stop)
        thread = threading.Thread(target=each.run)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def rate_of_plain(self, count: int) -> float:
        """No-op tasks a second."""
        for _ in range(count):
            self.app.send_task(PLAIN_TASK, args=(PLAIN, ""), queue=queue_name(PLAIN, "default"))
        return self._drain(PLAIN, count)

    def rate_of_jobs(self, count: int) -> float:
        """No-op jobs a second."""
        for _ in range(count):
            self.store.enqueue(KIND)
        with self.dispatcher():
            self._wait(lambda: self._length(STORE) >= count)
        return self._drain(STORE, count)

    def start_seconds(self, pauses: Callable[[], float], count: int) -> list[float]:
        """How long each of some jobs waited for its start, by the database's clock."""
        with self.worker(), self.dispatcher():
            self._wait_for(self.store.enqueue(KIND))
            ids = []
            for _ in range(count):
                time.sleep(pauses())
                ids.append(self.store.enqueue(KIND))
            self._wait_for(ids[-1])
            jobs = [self.store.job(job_id) for job_id in ids]
        return [(job.started_at - job.created_at).total_seconds() for job in jobs if job.started_at]

    def _drain(self, name: str, count: int) -> float:
        begin = count * 9 // 10
        with self.worker():
            self._wait(lambda: self._length(name) <= begin)
            started = time.monotonic()
            self._wait(lambda: self._length(name) == 0)
            return begin / (time.monotonic() - started)

    def _length(self, name: str) -> int:
        length: int = self._waiting.llen(queue_name(name, "default"))
        return length

    def _wait_for(self, job_id: UUID) -> None:
        self._wait(lambda: self.store.job(job_id).state.is_final)

    def _wait(self, condition: Callable[[], bool]) -> None:
        give_up_at = time.monotonic() + 120
        while not condition():
            if time.monotonic() > give_up_at:
                raise TimeoutError("the worker does not get on")
            time.sleep(0.02)


def main() -> None:
    arguments = _parse_arguments()
    if arguments.worker:
        _run_worker(arguments.worker, arguments.url)
        return
    source = _databases(arguments.url)
    with tempfile.TemporaryDirectory() as folder:
        broker = ValkeyServer(arguments.port, Path(folder))
        broker.start()
        try:
            _measure(Bench(broker, source.acquire(Base.metadata)), arguments.jobs)
        finally:
            broker.kill()
            source.drop_all()


def _measure(bench: Bench, count: int) -> None:
    pairs = [(bench.rate_of_plain(count), bench.rate_of_jobs(count)) for _ in range(3)]
    plain, jobs = (median(each) for each in zip(*pairs, strict=True))
    share = median(job / task for task, job in pairs)
    _say(
        f"no-op: {plain:.0f} tasks/s of plain Celery, {jobs:.0f} jobs/s through the table: {share:.0%} (at least 25 %)"
    )
    chance = random.Random(6)  # noqa: S311 - no secret
    busy = bench.start_seconds(lambda: chance.uniform(0.05, 0.15), 200)
    _say(f"start, busy: p50 {median(busy) * 1000:.0f} ms, p95 {_p95(busy) * 1000:.0f} ms")
    rounds.BUSY_FOR_SECONDS = 0.0  # as after a minute without anything due
    idle = bench.start_seconds(lambda: chance.uniform(0.5, 1.0), 60)
    _say(f"start, from idle: p50 {median(idle) * 1000:.0f} ms, p95 {_p95(idle) * 1000:.0f} ms")


def _p95(seconds: list[float]) -> float:
    return quantiles(seconds, n=20)[18]


def _run_worker(broker_url: str, store_url: str) -> None:
    app = make_app(broker_url, store_url)
    app.worker_main(["worker", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=ERROR"])


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="mysql+pymysql://... (may create databases) or sqlite://")
    parser.add_argument("--port", type=int, default=16399, help="of the broker, which is started here")
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def _databases(url: str) -> DatabaseSource:
    return SQLiteDatabases(Path(tempfile.mkdtemp())) if url.startswith("sqlite") else MySQLDatabases(url, "bench")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 # its output


if __name__ == "__main__":
    main()
