"""The dispatcher's program around its threads: probe file, stop, and a thread that dies."""

import threading
import time
from pathlib import Path
from typing import Any

from common.config import load_settings
from worker_service.config import DispatcherSettings
from worker_service.dispatcher import make_dispatchers, run
from worker_service.probes import ProbeFile


class Rounds:
    """Stands for a store's dispatcher: waits for the stop, or dies."""

    def __init__(self, stop: threading.Event, dies: bool = False, last_round_at: float | None = None) -> None:
        self.last_round_at = time.monotonic() if last_round_at is None else last_round_at
        self._stop = stop
        self._dies = dies

    def run(self) -> None:
        if not self._dies:
            self._stop.wait()


def run_for(seconds: float, tmp_path: Path, *rounds: Any, stop: threading.Event) -> tuple[int, ProbeFile]:
    alive = ProbeFile(tmp_path / "run", "dispatcher-alive")
    timer = threading.Timer(seconds, stop.set)
    timer.start()
    status = run(rounds, stop, alive)
    timer.cancel()
    timer.join()
    return status, alive


def test_it_runs_until_told_to_stop_and_shows_that_it_is_alive(tmp_path: Path) -> None:
    stop = threading.Event()
    status, alive = run_for(0.2, tmp_path, Rounds(stop), Rounds(stop), stop=stop)
    assert status == 0
    assert alive.path.exists()


def test_it_ends_with_a_fault_when_the_thread_of_a_store_dies(tmp_path: Path) -> None:
    stop = threading.Event()
    status, _ = run_for(10, tmp_path, Rounds(stop), Rounds(stop, dies=True), stop=stop)
    assert status == 1
    assert stop.is_set()


def test_it_does_not_look_alive_while_a_store_hangs(tmp_path: Path) -> None:
    stop = threading.Event()
    hanging = Rounds(stop, last_round_at=time.monotonic() - 61)
    status, alive = run_for(0.2, tmp_path, Rounds(stop), hanging, stop=stop)
    assert (status, alive.path.exists()) == (0, False)


def test_each_store_has_a_dispatcher_of_its_own() -> None:
    env = {"APP_ENV": "development", "JOB_STORES": "api=sqlite:///a.db,auth=sqlite:///b.db"}
    assert len(make_dispatchers(load_settings(DispatcherSettings, env), threading.Event())) == 2


def test_a_probe_file_can_be_removed_twice(tmp_path: Path) -> None:
    ready = ProbeFile(tmp_path / "not" / "there", "worker-ready")
    ready.remove()
    ready.touch()
    assert ready.path.exists()
    ready.remove()
    ready.remove()
    assert not ready.path.exists()
