"""honcho's process manager, made to end everything in order and in time, whenever it is told to."""

import os
import shlex
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from honcho.manager import Manager
from honcho.printer import Message

from devtools.paths import ROOT
from devtools.processes import end, is_alive, marked
from devtools.run.output import ServicePrinter
from devtools.run.stack import BROKER, Service

SOFT_SECONDS = 4.0
"""How long services may take to stop: the worker's soft window of 3 s and one more."""


class Processes(Manager):  # type: ignore[misc] # honcho ships no types
    """Runs services until a signal comes or one of them ends, then ends the rest.

    honcho would signal whole process groups, which robs a worker of its soft stop, and it does not expect a signal
    while it starts. So the end is our own: services first, the broker last, and nothing with our mark survives.
    """

    def __init__(self, folder: Path, printer: ServicePrinter, then: Callable[[], None]) -> None:
        super().__init__(printer)
        self.stopping = threading.Event()
        self.first_to_end: tuple[str, int] | None = None
        self._folder = folder
        self._then = then
        self._owner = os.getpid()
        self._ender = threading.Thread(target=self._end_everything, name="ender")

    def add(self, service: Service) -> None:
        """Add a service; `loop` starts it."""
        self.add_process(service.name, f"exec {shlex.join(service.command)}", env=service.env, cwd=str(ROOT))

    @property
    def stopped_by_user(self) -> bool:
        """Whether a signal came before any service ended."""
        return self.returncode in {130, 143}

    def terminate(self) -> None:
        """End everything, once; honcho calls this at SIGINT, at SIGTERM and when a service has ended."""
        if os.getpid() != self._owner or self.stopping.is_set():  # forked children inherit honcho's signal handler
            return
        self.stopping.set()
        self._printer.conceal()
        ended = ((name, p["returncode"]) for name, p in self._processes.items() if "returncode" in p)
        self.first_to_end = next(ended, None)
        self._terminating = True
        self._ender.start()

    def kill(self) -> None:
        """Left to the ender, which has its own time limit."""

    def _start(self) -> None:
        signal.signal(signal.SIGHUP, lambda *_: self.terminate())
        super()._start()
        threading.Thread(target=self._then, name="tour", daemon=True).start()

    def _end_everything(self) -> None:
        _wait(self._all_started, 2)
        services = [p["pid"] for name, p in self._processes.items() if name != BROKER and "pid" in p]
        for pid in filter(is_alive, services):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        _wait(lambda: not any(map(is_alive, services)), SOFT_SECONDS)
        end((p for p in marked(self._folder) if not self._is_broker(p)), grace_seconds=0)
        end(marked(self._folder), grace_seconds=1)
        _wait(self._all_stopped, 2)
        self._report_missing()

    def _is_broker(self, process: psutil.Process) -> bool:
        return bool(process.pid == self._processes.get(BROKER, {}).get("pid"))

    def _report_missing(self) -> None:
        """honcho waits for a start and a stop message of each process; its own helpers can die before they send one."""
        for name, process in self._processes.items():
            if "returncode" not in process:
                process["process"].kill()  # honcho's helper; Python would wait for it at exit
                self._tell(name, "start", {"pid": process.get("pid", 0)})
                self._tell(name, "stop", {"returncode": -signal.SIGKILL})

    def _tell(self, name: str, kind: str, data: dict[str, Any]) -> None:
        self.events.put(Message(type=kind, data=data, time=self._clock.now(), name=name, colour=None))


def _wait(condition: Callable[[], bool], timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
