"""A process of a drill: started, killed, frozen, stopped, with all its children."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import RLock

import psutil

from devtools.live import Unexpected
from devtools.paths import ROOT

READY = ("worker-ready", "dispatcher-alive")


class Member:
    """One program of the plant. `lock` is held by whoever is doing something to it."""

    def __init__(self, name: str, folder: Path, arguments: Sequence[str], env: Mapping[str, str]) -> None:
        self.name = name
        self.lock = RLock()
        self.starts = 0
        self._folder = folder / name
        self._folder.mkdir()
        self._arguments = arguments
        self._env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "scripts"), **env}
        self._env["RUN_DIR"] = str(self._folder)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it may take a second or two until it works."""
        with self._log_file.open("ab") as log:
            command = [sys.executable, *self._arguments]
            self._process = subprocess.Popen(command, cwd=self._folder, env=self._env, stdout=log, stderr=log)
        self.starts += 1

    def revive(self) -> None:
        """Start it again if it died by itself."""
        if self.lock.acquire(blocking=False):
            try:
                if not self.is_running:
                    self.start()
            finally:
                self.lock.release()

    @property
    def pid(self) -> int:
        """The process id of its main process."""
        if self._process is None:
            raise Unexpected(f"{self.name} was not started")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether its main process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def is_ready(self) -> bool:
        """Whether the worker takes jobs, the dispatcher hands them out."""
        return any((self._folder / name).exists() for name in READY)

    def kill(self) -> None:
        """End all of it at once, as a lost node would."""
        for process in self._tree():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if self._process is not None:
            self._process.wait()
        for name in READY:
            (self._folder / name).unlink(missing_ok=True)

    def kill_child(self, chance: random.Random) -> bool:
        """End one of its children, as the kernel does when memory runs out; False where it has none."""
        children = self._tree()[1:]
        if children:
            with suppress(psutil.NoSuchProcess):
                chance.choice(children).kill()
        return bool(children)

    def freeze(self) -> None:
        """Stop all of it, its main process first so that it starts no other."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on where it was."""
        self._signal(signal.SIGCONT)

    def stop(self, timeout_seconds: float) -> float:
        """Ask it to end, as a rollout does, and return how long it took; Unexpected if not in time or with a fault."""
        begun = time.monotonic()
        if self._process is not None:
            self._process.terminate()
            try:
                status = self._process.wait(timeout_seconds)
            except subprocess.TimeoutExpired:
                raise Unexpected(f"{self.name} did not end within {timeout_seconds} s") from None
            if status != 0:
                raise Unexpected(f"{self.name} ended with {status}")
        return time.monotonic() - begun

    def log(self) -> str:
        """Everything it has said so far."""
        return self._log_file.read_text(errors="replace") if self._log_file.exists() else ""

    def errors_without_job(self) -> list[str]:
        """Its log lines at ERROR or above that name no job, and faults told past its log."""
        return [line for line in self.log().splitlines() if _is_error_without_job(line)]

    @property
    def _log_file(self) -> Path:
        return self._folder / "log"

    def _signal(self, number: signal.Signals) -> None:
        for process in self._tree():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _tree(self) -> list[psutil.Process]:
        if not self.is_running:
            return []
        with suppress(psutil.NoSuchProcess):
            main = psutil.Process(self.pid)
            return [main, *main.children(recursive=True)]
        return []


def _is_error_without_job(line: str) -> bool:
    try:
        said = json.loads(line)
    except ValueError:
        return "Traceback" in line or "Error" in line  # Celery says some things past the log, and not of faults
    # An absent broker is said at ERROR, and is nobody's job.
    is_of_job = "job_id" in said or str(said.get("logger")).startswith("celery.worker.consumer")
    return said.get("level") in {"error", "critical"} and not is_of_job
