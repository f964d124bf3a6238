"""Whatever stops `.venv` from being made is said in one line; what was interrupted is made again."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from devtools.paths import SCRIPTS

# Stands for an interpreter: answers the questions scripts/venv asks, and makes a .venv whose pip does as FAKE_PIP says.
FAKE_PYTHON = """\
#!/bin/sh
case "$*" in
-V) echo "Python $FAKE_VERSION" ;;
*version_info*) [ "$FAKE_VERSION" != 3.9.2 ] ;;
*ensurepip*) [ "$FAKE_VENV" != missing ] ;;
*"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
*"-m pip"*) echo "$*" >>pip-calls; echo "$FAKE_PIP" >&2; [ -z "$FAKE_PIP" ] ;;
esac
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with one package, the script, and a stand-in for Python."""
    (tmp_path / "libs" / "common").mkdir(parents=True)
    (tmp_path / "services" / "auth").mkdir(parents=True)
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPTS / "venv", tmp_path / "scripts")
    for file in ("requirements.lock", "requirements-dev.lock", "libs/common/pyproject.toml"):
        (tmp_path / file).write_text("flask==3.1.3 # any\n")
    (tmp_path / "services/auth/pyproject.toml").write_text("")
    python = tmp_path / "fake-python"
    python.write_text(FAKE_PYTHON)
    python.chmod(0o755)
    return tmp_path


def make_venv(clone: Path, user: str | None = None, **fakes: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "PYTHON": str(clone / "fake-python"), "FAKE_VERSION": "3.12.1", **fakes}
    return subprocess.run([clone / "scripts/venv"], env=env, capture_output=True, text=True, check=False, user=user)


def pip_calls(clone: Path) -> list[str]:
    return (clone / "pip-calls").read_text().splitlines()


def test_packages_are_installed_by_hash_and_ours_without_a_build_environment(clone):
    assert make_venv(clone).returncode == 0
    locked, ours = pip_calls(clone)
    assert "--require-hashes" in locked
    assert "-r requirements.lock -r requirements-dev.lock" in locked
    assert "--no-build-isolation --no-deps -e libs/common/ -e services/auth/" in ours


def test_once_made_it_is_left_alone(clone):
    make_venv(clone)
    assert make_venv(clone).stdout == ""
    assert len(pip_calls(clone)) == 2


@pytest.mark.parametrize("file", ["requirements.lock", "requirements-dev.lock", "libs/common/pyproject.toml"])
def test_it_is_made_again_when_what_it_is_made_from_changes(clone, file):
    make_venv(clone)
    (clone / file).write_text("flask==3.1.4\n")
    make_venv(clone)
    assert len(pip_calls(clone)) == 4


def test_a_comment_in_a_lock_changes_nothing(clone):
    make_venv(clone)
    lock = clone / "requirements.lock"
    lock.write_text(f"# compiled again\n{lock.read_text()}    # via nothing\n")
    make_venv(clone)
    assert len(pip_calls(clone)) == 2


def test_a_repository_that_moved_gets_a_new_one(clone, tmp_path_factory):
    make_venv(clone)
    moved = tmp_path_factory.mktemp("moved") / "clone"
    shutil.move(clone, moved)
    make_venv(moved)
    assert len(pip_calls(moved)) == 4


def test_an_interrupted_set_up_is_done_again_from_the_start(clone):
    assert make_venv(clone, FAKE_PIP="Killed").returncode == 1
    (clone / ".venv" / "half").touch()
    assert make_venv(clone).returncode == 0
    assert not (clone / ".venv" / "half").exists()


@pytest.mark.parametrize(
    ("fakes", "line"),
    [
        (
            {"FAKE_VERSION": "3.9.2"},
            (
                "venv: Python 3.11 or newer is needed, and {python} is Python 3.9.2. "
                "Install one, or name one: make PYTHON=/path/to/python3.12"
            ),
        ),
        (
            {"PYTHON": "/no/such/python"},
            (
                "venv: Python 3.11 or newer is needed, and /no/such/python is not there. "
                "Install one, or name one: make PYTHON=/path/to/python3.12"
            ),
        ),
        (
            {"FAKE_VENV": "missing"},
            "venv: {python} has no venv module. On Debian or Ubuntu: apt-get install python3-venv",
        ),
        (
            {"FAKE_PIP": "NewConnectionError: Failed to establish a new connection"},
            (
                "venv: No connection to the package index, and pip's cache cannot replace it. "
                "Check the network or pip's settings (pip config list), then run make again."
            ),
        ),
        (
            {"FAKE_PIP": "OSError: [Errno 28] No space left on device"},
            "venv: The disk is full. Free some space (about 500 MB are needed), then run make again.",
        ),
    ],
)
def test_what_is_missing_is_said_in_one_line(clone, fakes, line):
    failed = make_venv(clone, **fakes)
    assert failed.returncode == 1
    assert failed.stderr == line.format(python=clone / "fake-python") + "\n"


def test_any_other_failure_of_pip_shows_what_pip_said(clone):
    failed = make_venv(clone, FAKE_PIP="ERROR: THESE PACKAGES DO NOT MATCH THE HASHES")
    assert failed.stderr == (
        "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES\n"
        "venv: Installing failed; the lines above are the end of .venv/install.log.\n"
    )


def test_without_permission_to_write_it_says_so(clone):
    # Root may write everywhere, so somebody else has to try, in a place they can reach.
    with tempfile.TemporaryDirectory() as place:
        theirs = Path(place) / "clone"
        shutil.copytree(clone, theirs)
        for folder in (Path(place), theirs):
            folder.chmod(0o555)
        failed = make_venv(theirs, user="nobody" if os.geteuid() == 0 else None)
        theirs.chmod(0o755)
        Path(place).chmod(0o755)
    assert failed.stderr == (
        f"venv: No permission to write to {theirs}. Change its owner, or clone into a folder of your own.\n"
    )
