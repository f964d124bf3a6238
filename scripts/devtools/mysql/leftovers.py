"""Throw-away servers of test runs: each belongs to one process, and goes when that is gone."""

from pathlib import Path

import psutil

from devtools.mysql.find import base_folder
from devtools.mysql.server import OwnServer

PREFIX = "tests-of-"


def home_of_tests(pid: int) -> Path:
    """Return the folder for the server of the test run with that process id."""
    return base_folder() / f"{PREFIX}{pid}"


def discard_leftovers() -> None:
    """End the servers of test runs that were killed before they could."""
    for home in base_folder().glob(f"{PREFIX}*"):
        if not psutil.pid_exists(int(home.name.removeprefix(PREFIX))):
            OwnServer(home, port=0).discard()
