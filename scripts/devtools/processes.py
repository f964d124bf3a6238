"""Find and end the processes of one run, their children's children included.

Every process of a run inherits a variable that names the run's folder. Unlike a pid file that mark is never stale,
and it survives parents that died without ending their children.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import psutil

MARK = "REDPRINT_RUN"


def mark_of(folder: Path) -> dict[str, str]:
    """Return the variable that marks processes as belonging to the run in that folder."""
    return {MARK: str(folder.resolve())}


def marked(folder: Path) -> list[psutil.Process]:
    """Return the living processes of the run in that folder, without the one that asks."""
    mark = str(folder.resolve())
    return [process for process in psutil.process_iter() if process.pid != os.getpid() and _mark(process) == mark]


def is_alive(pid: int) -> bool:
    """Tell whether the process runs; one that ended and was not collected by its parent yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end(processes: Iterable[psutil.Process], grace_seconds: float) -> None:
    """Ask them to stop, kill those that have not after the grace, and wait until they are gone."""
    alive = list(processes)
    if grace_seconds > 0:
        _each(alive, "terminate")
        _, alive = psutil.wait_procs(alive, timeout=grace_seconds)
    _each(alive, "kill")
    psutil.wait_procs(alive, timeout=5)


def kill_tree(pid: int) -> None:
    """Kill a process and all below it at once, as an out-of-memory killer or a lost node would."""
    try:
        parent = psutil.Process(pid)
        tree = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    end(tree, grace_seconds=0)


def _each(processes: Iterable[psutil.Process], action: str) -> None:
    for process in processes:
        try:
            getattr(process, action)()
        except psutil.NoSuchProcess:
            continue


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):  # gone, or somebody else's
        return None
