"""scripts/test: run the tests on SQLite and on a MySQL that is found, started or fetched for them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from devtools import say
from devtools.mysql.cli import running
from devtools.mysql.errors import NoMySQL, Unavailable
from devtools.mysql.find import start
from devtools.mysql.leftovers import discard_leftovers, home_of_tests
from devtools.mysql.server import url
from devtools.paths import ROOT
from devtools.ports import free_port

# Two more than cores: the tests that start processes mostly wait for them.
WORKERS = min(8, (os.cpu_count() or 2) + 2)
PARALLEL = ["-n", str(WORKERS), "--dist", "worksteal"]
# Asked for by COVERAGE=1, because measuring costs a tenth of the time; only the whole suite can be held to it.
# --cov-report= keeps the table out of the way.
COVERAGE = ["--cov=common", "--cov-report=", "--cov-fail-under=95"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run pytest on the given paths (default: all) and return its status; 1 if MySQL has to be there and is not."""
    arguments = sys.argv[1:] if arguments is None else arguments
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with mysql_for_tests() as (address, reason):
            if address is None and os.environ.get("REQUIRE_MYSQL") == "1":
                say.note(f"make test: REQUIRE_MYSQL=1, but there is no MySQL: {reason}.")
                return 1
            status = _run_pytest(arguments, address)
    except KeyboardInterrupt:
        return 130
    if address is None:
        say.note(f"\nNOT TESTED ON MYSQL, which is what counts: {reason}.\nTEST_MYSQL_URL=... names a server to use.")
    return status


@contextmanager
def mysql_for_tests() -> Iterator[tuple[str | None, str]]:
    """Give the address of a MySQL server and "", or None and the reason; one started for the tests ends with them."""
    try:
        address = running()
        if address is None:
            discard_leftovers()
            port = free_port()
            server = start(home_of_tests(os.getpid()), port, keep=False)
    except (NoMySQL, Unavailable) as error:
        yield None, str(error)
        return
    if address is not None:
        yield address, ""
        return
    try:
        yield url(port), ""
    finally:
        server.discard()


def _run_pytest(arguments: Sequence[str], address: str | None) -> int:
    command = [sys.executable, "-m", "pytest", "-q", *PARALLEL, *(arguments or _coverage())]
    env = {**os.environ, **({"TEST_MYSQL_URL": address} if address else {})}
    begun = time.monotonic()
    pytest = subprocess.Popen(command, cwd=ROOT, env=env)
    try:
        status = pytest.wait()
    except KeyboardInterrupt:
        # pytest has got Ctrl-C too; it has to drop its databases before the server goes.
        pytest.terminate()
        pytest.wait()
        raise
    say.note(f"Tests took {time.monotonic() - begun:.0f} s.")
    return status


def _coverage() -> list[str]:
    return COVERAGE if os.environ.get("COVERAGE") == "1" else []


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
