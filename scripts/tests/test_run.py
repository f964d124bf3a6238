"""The local run from outside: started, toured, stopped, killed, as a person would."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from devtools.live import TIMES, Client, pick_ports, write_contacts
from devtools.paths import ROOT, SCRIPTS
from devtools.ports import is_free
from devtools.processes import end, marked
from devtools.run.settings import Ports

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


class Run:
    """One call of scripts/run in a session of its own, as a terminal gives it."""

    def __init__(self, folder: Path, ports: Ports, **variables: str) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.ports = folder, ports
        chosen = {name: str(port) for name, port in ports.by_variable().items()}
        self.output_file = folder / f"output-{uuid4().hex}.txt"
        with self.output_file.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, SCRIPTS / "run"],
                cwd=ROOT,
                env={**os.environ, **TIMES, **chosen, "REDPRINT_LOCAL": str(folder), **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self.output_file.read_text()

    def wait_for(self, text: str, timeout_seconds: float = 60) -> None:
        deadline = time.monotonic() + timeout_seconds
        while text not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)

    def interrupt(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)

    def finish(self) -> int:
        """Wait for the end, as long as a run may take to end, and return the status."""
        return self.process.wait(timeout=10)

    def kill_everything(self) -> None:
        self.process.kill()
        self.process.wait()
        end(marked(self.folder), grace_seconds=0)

    def client(self) -> Client:
        return Client(f"http://127.0.0.1:{self.ports.auth_port}", f"http://127.0.0.1:{self.ports.api_port}")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []
    ports = pick_ports()

    def start(**variables: str) -> Run:
        runs.append(Run(tmp_path, ports, **variables))
        return runs[-1]

    yield start
    for each in runs:
        each.kill_everything()


def assert_nothing_left(run: Run) -> None:
    assert marked(run.folder) == []
    assert [port for port in run.ports.by_variable().values() if not is_free(port)] == []


def test_the_tour_is_taken_to_its_end_and_ctrl_c_leaves_no_process_and_no_port(run):
    first = run()
    first.wait_for("Ctrl-C stops everything.")
    steps = re.findall(r"^(\d)\. (.+)$", first.output, re.MULTILINE)
    assert [number for number, _ in steps] == list("123456")
    assert "succeeded: 240 created, 0 rejected" in first.output
    shown = paste(first.output.partition("Your turn:\n")[2].partition("\n\n")[0])
    assert '"items":' in shown, shown

    first.interrupt()
    assert first.finish() == 0
    assert_nothing_left(first)
    assert first.output.endswith("Stopped. .local/ keeps keys, data and logs; make clean deletes it.\n")


def paste(lines: str, env: Mapping[str, str] = os.environ) -> str:
    return subprocess.run(["bash", "-c", lines], env=env, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def test_ctrl_c_in_the_middle_of_the_tour_leaves_no_process_and_no_port(run):
    begun = run()
    begun.wait_for("Import a file")
    begun.interrupt()
    assert begun.finish() == 0
    assert_nothing_left(begun)


def test_ctrl_c_right_after_the_start_leaves_no_process_and_no_port(run, tmp_path):
    begun = run()
    while not marked(tmp_path):
        assert begun.process.poll() is None, begun.output
    begun.interrupt()
    time.sleep(0.2)
    begun.interrupt()
    assert begun.finish() == 0
    assert_nothing_left(begun)


@pytest.mark.drill
def test_after_a_kill_of_everything_the_next_run_finishes_the_job_with_the_same_keys(run, tmp_path):
    killed = run(TOUR="0")
    killed.wait_for("Ctrl-C stops everything.")
    client = killed.client()
    job = client.import_file(write_contacts(tmp_path / "contacts.csv", 40_000))
    client.wait_until_midway(job)
    killed.kill_everything()
    assert_nothing_left(killed)
    with closing(sqlite3.connect(tmp_path / "data" / "api.db")) as database:
        ((imported,),) = database.execute("SELECT COUNT(*) FROM contacts")
    assert 0 < imported < 40_000, "the kill came too late"
    keys = {file: file.read_bytes() for file in (tmp_path / "keys").iterdir()}

    again = run(TOUR="0")
    again.wait_for("Ctrl-C stops everything.")
    # The token of before: same key, same issuer.
    assert client.wait_for_success(job)["result"]["created"] == 40_000
    assert {file: file.read_bytes() for file in (tmp_path / "keys").iterdir()} == keys


@pytest.mark.drill
def test_what_a_killed_runner_left_running_is_ended_by_the_next_run(run, tmp_path):
    killed = run(TOUR="0")
    killed.wait_for("Ctrl-C stops everything.")
    killed.process.kill()
    killed.process.wait()
    assert len(marked(tmp_path)) > 4

    again = run(TOUR="0")
    again.wait_for("left over by an earlier run that was killed")
    again.wait_for("Ctrl-C stops everything.")
    again.interrupt()
    assert again.finish() == 0
    assert_nothing_left(again)


def test_a_second_run_is_told_of_the_first_in_one_line_and_starts_nothing(run, tmp_path):
    first = run(TOUR="0")
    first.wait_for("Ctrl-C stops everything.")
    here, elsewhere = run(), run(REDPRINT_LOCAL=str(tmp_path / "other"))
    assert (here.finish(), elsewhere.finish()) == (1, 1)
    assert here.output == (
        f"make run: make run is already running here (process {first.process.pid}). "
        f"Stop it with Ctrl-C, or: kill {first.process.pid}\n"
    )
    in_use = r"make run: Port \d+ is in use by process \d+ \(.+\)\. Stop that .+: make run [A-Z_]+=\d+\n"
    assert re.fullmatch(in_use, elsewhere.output)
    assert marked(tmp_path / "other") == []


def test_clean_deletes_everything_but_not_under_a_running_product(run, tmp_path):
    first = run(TOUR="0")
    first.wait_for("Ctrl-C stops everything.")
    refused = clean(tmp_path)
    assert refused.returncode == 1
    assert "already running here" in refused.stderr
    assert (tmp_path / "data" / "api.db").exists()
    first.process.kill()
    first.process.wait()
    assert clean(tmp_path).returncode == 0
    assert not tmp_path.exists()
    assert_nothing_left(first)


def clean(folder: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "REDPRINT_LOCAL": str(folder)}
    return subprocess.run([sys.executable, SCRIPTS / "clean"], env=env, capture_output=True, text=True, check=False)


def test_a_service_that_cannot_start_is_named_with_the_end_of_its_log(run):
    broken = run(ACCESS_TOKEN_TTL_SECONDS="1")
    assert broken.process.wait(timeout=60) == 1
    assert "ACCESS_TOKEN_TTL_SECONDS" in broken.output
    assert "make run: auth ended with status 78" in broken.output
    assert_nothing_left(broken)
