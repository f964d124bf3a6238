"""Only one run at a time in one folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devtools.say import Stop


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Hold the folder's lock for the body; Stop names the process that holds it already.

    A POSIX record lock (lockf): the kernel releases it with the process, however that dies, and children do not
    inherit it, so an orphan never keeps it.
    """
    path = folder / "run.lock"
    with path.open("a+") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = path.read_text().strip() or "unknown"
            raise Stop(
                f"make run is already running here (process {holder}). Stop it with Ctrl-C, or: kill {holder}"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
