"""scripts/run: start the product on this machine, show it, stay up until Ctrl-C."""

import multiprocessing
import signal
import time
from pathlib import Path
from types import FrameType

from rich.console import Console

from devtools import say
from devtools.paths import LOCAL
from devtools.ports import require_free
from devtools.processes import end, marked
from devtools.run.lock import only_run
from devtools.run.manager import Processes
from devtools.run.output import ServicePrinter
from devtools.run.prepare import databases, make_folders, make_keys, migrate_databases
from devtools.run.settings import RunSettings, read_settings
from devtools.run.show import Guide
from devtools.run.stack import Stack


def main() -> int:
    """Run until a signal (0) or until something goes wrong (1, with a line saying what)."""
    for number in (signal.SIGTERM, signal.SIGINT):  # a shell's background job starts with SIGINT ignored
        signal.signal(number, _interrupt)
    # Forked helpers start at once and need no import of this program; there are no threads yet to be harmed.
    multiprocessing.set_start_method("fork")
    try:
        settings = read_settings()
        make_folders(LOCAL)
        with only_run(LOCAL):
            return _run(settings, LOCAL)
    except say.Stop as problem:
        say.note(f"make run: {problem}")
        return 1
    except KeyboardInterrupt:
        say.note("Stopped.")
        return 0


def _run(settings: RunSettings, local: Path) -> int:
    begun = time.monotonic()
    _end_orphans(local)
    require_free(settings.ports.by_variable())
    try:
        with databases(settings, local) as (auth_database, api_database):
            stack = Stack(local, settings.ports, auth_database, api_database)
            make_keys(stack)
            migrate_databases(stack)
            return _serve(stack, settings, begun)
    finally:
        _ignore_signals()
        end(marked(local), grace_seconds=1)


def _serve(stack: Stack, settings: RunSettings, begun: float) -> int:
    console = Console(highlight=False)
    printer = ServicePrinter(console, stack.folder / "logs")
    guide = Guide(console, printer, stack, with_tour=settings.with_tour, begun=begun)
    processes = Processes(stack.folder, printer, lambda: guide.show(processes))
    for service in stack.services():
        processes.add(service)
    processes.loop()
    return guide.farewell(processes)


def _end_orphans(local: Path) -> None:
    orphans = marked(local)
    if orphans:
        say.note(f"Ending {len(orphans)} processes left over by an earlier run that was killed ...")
        end(orphans, grace_seconds=3)


def _ignore_signals() -> None:
    """The end takes seconds at most and is not to be cut short by an impatient second Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Before the services' manager has its own handlers, both signals end the run as Ctrl-C ends any program."""
    raise KeyboardInterrupt
