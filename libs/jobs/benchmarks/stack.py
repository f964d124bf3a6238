"""What the benchmarks need around them: a store, a broker, and the programs of the worker service."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil
from common.db import Database
from common.testing.scratch import scratch_database
from common.testing.valkey import ValkeyServer
from common.testing.waiting import eventually
from jobs.models import Base

HERE = Path(__file__).parent
DISPATCHER = """
from jobs.dispatcher import rounds
from worker_service.dispatcher import main
rounds.BUSY_FOR_SECONDS = {}
raise SystemExit(main())
"""


def scratch_store(url: str) -> AbstractContextManager[Database]:
    """An empty job store: a new database on the MySQL server of the URL, or an SQLite file; gone at the end."""
    return scratch_database(url, Base.metadata)


@contextmanager
def scratch_broker() -> Iterator[ValkeyServer]:
    """A Valkey of its own."""
    with tempfile.TemporaryDirectory() as folder:
        server = ValkeyServer(free_port(), Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def worker_service(
    database: Database, broker: ValkeyServer, *, processes: int, busy_for_seconds: float = 60
) -> Iterator[Path]:
    """The worker, with a kind `noop` besides its own, and the dispatcher; gives the folder of their logs.

    `busy_for_seconds` is how long the dispatcher looks more often after a job was due.
    """
    url = database.url.set(drivername=database.dialect_name).render_as_string(hide_password=False)
    env = {"APP_ENV": "testing", "BROKER_URL": broker.url, "JOB_STORES": f"api={url}"}
    env["WORKER_CONCURRENCY"] = str(processes)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dispatcher = ["-c", DISPATCHER.format(busy_for_seconds)]
        with (
            _program(dispatcher, folder, "dispatcher", env),
            _program([str(HERE / "noop_worker.py")], folder, "worker", env),
        ):
            eventually((folder / "worker-ready").exists)
            yield folder


@contextmanager
def plain_celery(broker: ValkeyServer, *, processes: int) -> Iterator[None]:
    """A worker of `plain_celery.py`."""
    env = {"BROKER_URL": broker.url}
    options = ["worker", "--pool", "prefork", "--concurrency", str(processes), "--loglevel", "info"]
    options += ["--without-gossip", "--without-mingle"]
    command = ["-m", "celery", "-A", "plain_celery", *options]
    with tempfile.TemporaryDirectory() as folder, _program(command, Path(folder), "plain", env):
        eventually(lambda: b"ready." in Path(folder, "plain.log").read_bytes())
        yield


def cpu_seconds() -> dict[str, float]:
    """CPU time so far of the programs that run, the processes of each apart. The database's is not in it."""
    used: dict[str, float] = {}
    for process in psutil.Process().children():
        name = _running.get(process.pid, "broker")
        times, children = process.cpu_times(), process.children()
        used[name] = times.user + times.system
        if children:
            of_children = [child.cpu_times() for child in children]
            ended = times.children_user + times.children_system
            used[f"{name} processes"] = ended + sum(each.user + each.system for each in of_children)
    return used


_running: dict[int, str] = {}
"""Names of the programs by process id."""


def free_port() -> int:
    """A port of 127.0.0.1 nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def seconds_until(condition: Callable[[], bool], pause: float = 0.1) -> float:
    """How long it takes until `condition` holds."""
    started = time.perf_counter()
    while not condition():
        time.sleep(pause)
    return time.perf_counter() - started


@contextmanager
def _program(arguments: list[str], folder: Path, name: str, env: dict[str, str]) -> Iterator[None]:
    own = {
        "RUN_DIR": str(folder),
        "METRICS_PORT": str(free_port()),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(HERE),
    }
    with Path(folder, f"{name}.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, *arguments], env=own | env, stdout=log, stderr=log)  # noqa: S603
    _running[process.pid] = name
    try:
        yield
    finally:
        del _running[process.pid]
        process.terminate()
        process.wait()
