"""The local run's process manager, against small stand-ins for the services."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from devtools.processes import end, marked

pytestmark = pytest.mark.slow

RUNNER = """
import json, multiprocessing, signal, sys
from pathlib import Path
from rich.console import Console
from devtools.processes import mark_of
from devtools.run.manager import Processes
from devtools.run.output import ServicePrinter
from devtools.run.stack import Service

multiprocessing.set_start_method("fork")
folder, commands = Path(sys.argv[1]), json.loads(sys.argv[2])
printer = ServicePrinter(Console(), folder)
printer.reveal()
processes = Processes(folder, printer, lambda: print("all started", flush=True))
for name, code in commands.items():
    processes.add(Service(name, [sys.executable, "-uc", code], {**dict(__import__("os").environ), **mark_of(folder)}))
processes.loop()
print("over", processes.stopped_by_user, processes.first_to_end, flush=True)
"""
OBEDIENT = "import time; print('up'); time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(600)"
PARENT = (
    "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print('up'); time.sleep(600)"
)
ESCAPING = (
    "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
    " start_new_session=True); print('up'); time.sleep(600)"
)
# Tells in a file when it was asked to stop.
RECORDING = """
import signal, sys, time
def stop(*_):
    open({path!r}, "w").write(str(time.monotonic()))
    time.sleep({pause})
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("up")
while True: time.sleep(600)
"""


class Runner:
    """A manager in a process of its own, as make run has it."""

    def __init__(self, folder: Path, commands: dict[str, str]) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUNNER, str(folder), json.dumps(commands)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
        )
        self.output = ""

    def wait_for_lines(self, text: str, count: int) -> None:
        assert self.process.stdout is not None
        while self.output.count(text) < count:
            line = self.process.stdout.readline()
            assert line, f"the runner ended: {self.output}"
            self.output += line

    def interrupt(self, number: int = signal.SIGINT) -> None:
        # As a terminal does: everybody in the foreground group gets it.
        os.killpg(self.process.pid, number)

    def finish(self, within_seconds: float) -> float:
        begun = time.monotonic()
        rest, _ = self.process.communicate(timeout=within_seconds)
        self.output += rest
        return time.monotonic() - begun


@pytest.fixture
def run(tmp_path):
    runners = []

    def start(**commands: str) -> Runner:
        runners.append(Runner(tmp_path, commands))
        return runners[-1]

    yield start
    for runner in runners:
        runner.process.kill()
        runner.process.wait()
    end(marked(tmp_path), grace_seconds=0)
    for runner in runners:
        assert runner.process.stdout is not None
        runner.process.stdout.close()


def wait_for_marked(folder: Path, count: int) -> None:
    """A process has no environment to look into for an instant after it begins its program."""
    deadline = time.monotonic() + 5
    while len(marked(folder)) != count:
        assert time.monotonic() < deadline, marked(folder)
        time.sleep(0.01)


def test_lines_carry_the_name_of_their_service_and_are_kept_in_a_file(run, tmp_path):
    runner = run(auth=OBEDIENT)
    runner.wait_for_lines("auth", 1)
    assert "| up" in runner.output
    assert (tmp_path / "auth.log").read_text().endswith(" up\n")


def test_ctrl_c_ends_services_and_their_children(run, tmp_path):
    runner = run(valkey=OBEDIENT, auth=OBEDIENT, worker=PARENT)
    runner.wait_for_lines("| up", 3)
    wait_for_marked(tmp_path, 4)
    runner.interrupt()
    assert runner.finish(within_seconds=10) < 3
    assert marked(tmp_path) == []
    assert "over True None" in runner.output
    assert runner.process.returncode == 0


def test_sigterm_to_the_runner_alone_ends_everything_too(run, tmp_path):
    runner = run(auth=OBEDIENT, worker=PARENT)
    runner.wait_for_lines("| up", 2)
    runner.process.terminate()
    runner.finish(within_seconds=10)
    assert marked(tmp_path) == []


def test_a_service_that_ignores_sigterm_is_killed_in_time(run, tmp_path):
    runner = run(valkey=OBEDIENT, auth=STUBBORN)
    runner.wait_for_lines("| up", 2)
    runner.interrupt()
    assert runner.finish(within_seconds=10) < 8
    assert marked(tmp_path) == []


def test_a_grandchild_that_left_its_session_is_ended_too(run, tmp_path):
    runner = run(worker=ESCAPING)
    runner.wait_for_lines("| up", 1)
    wait_for_marked(tmp_path, 2)
    runner.interrupt()
    runner.finish(within_seconds=10)
    assert marked(tmp_path) == []


@pytest.mark.parametrize("pause_seconds", [0.0, 0.05, 0.2])
def test_ctrl_c_while_services_are_being_started_leaves_nothing(run, tmp_path, pause_seconds):
    runner = run(valkey=OBEDIENT, auth=OBEDIENT, api=OBEDIENT, worker=PARENT, dispatcher=OBEDIENT)
    while not marked(tmp_path):
        assert runner.process.poll() is None
    time.sleep(pause_seconds)
    runner.interrupt()
    runner.finish(within_seconds=10)
    assert marked(tmp_path) == []


def test_ctrl_c_twice_is_ctrl_c_once(run, tmp_path):
    stop_slowly = RECORDING.format(path=str(tmp_path / "asked"), pause=1)
    runner = run(auth=stop_slowly)
    runner.wait_for_lines("| up", 1)
    runner.interrupt()
    time.sleep(0.3)
    runner.interrupt()
    assert runner.finish(within_seconds=10) > 0.5, "the second one cut the service's own end short"
    assert marked(tmp_path) == []


def test_the_broker_is_ended_after_those_who_use_it(run, tmp_path):
    worker = RECORDING.format(path=str(tmp_path / "worker"), pause=0.5)
    broker = RECORDING.format(path=str(tmp_path / "broker"), pause=0)
    runner = run(valkey=broker, worker=worker)
    runner.wait_for_lines("| up", 2)
    runner.interrupt()
    runner.finish(within_seconds=10)
    assert float((tmp_path / "broker").read_text()) - float((tmp_path / "worker").read_text()) >= 0.5


def test_a_service_that_ends_by_itself_is_named_and_ends_the_others(run, tmp_path):
    runner = run(auth=OBEDIENT, api="import sys; print('no database'); sys.exit(78)")
    runner.finish(within_seconds=10)
    assert "over False ('api', 78)" in runner.output
    assert marked(tmp_path) == []


def test_orphans_of_a_killed_runner_are_found(run, tmp_path):
    runner = run(auth=OBEDIENT, worker=PARENT)
    runner.wait_for_lines("| up", 2)
    runner.process.kill()
    runner.process.wait()
    wait_for_marked(tmp_path, 3)
