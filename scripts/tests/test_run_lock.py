"""Only one run at a time, and a dead one is never in the way."""

import os
import subprocess
import sys

import pytest
from devtools.paths import SCRIPTS
from devtools.run.lock import only_run
from devtools.say import Stop

HOLD = """
import sys, time
from pathlib import Path
from devtools.run.lock import only_run
with only_run(Path(sys.argv[1])):
    print("held", flush=True); time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def test_a_second_run_is_told_which_process_is_the_first(holder, tmp_path):
    with pytest.raises(Stop, match=f"already running here .process {holder.pid}"), only_run(tmp_path):
        pass


def test_a_killed_run_is_not_in_the_way(holder, tmp_path):
    holder.kill()
    holder.wait()
    with only_run(tmp_path):
        assert (tmp_path / "run.lock").read_text() == str(os.getpid())


def test_children_of_a_run_do_not_hold_its_lock(tmp_path):
    with only_run(tmp_path):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False)
    try:
        with only_run(tmp_path):
            pass
    finally:
        child.kill()
        child.wait()
