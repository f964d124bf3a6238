"""How the worker's processes tell each other about a stop: a few bytes of memory they share since the fork.

Without it, Celery waits out the whole soft window even when no job is left, and a job learns of the stop only when it
is thrown out at the window's end, in the middle of a chunk.
"""

import mmap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

MAX_PROCESSES = 64
POLL_SECONDS = 0.05


class StopBoard:
    """One cell says that the worker stops; each pool process has another that says whether it runs a job."""

    def __init__(self) -> None:
        self._cells = mmap.mmap(-1, 1 + MAX_PROCESSES)

    @property
    def is_stopping(self) -> bool:
        """Whether running jobs are to be handed back at their next check."""
        return self._cells[0] == 1

    def begin_stop(self, window_seconds: float) -> None:
        """Say so, and wait until no process runs a job, at most for the window."""
        self._cells[0] = 1
        give_up_at = time.monotonic() + window_seconds
        while any(self._cells[1:]) and time.monotonic() < give_up_at:
            time.sleep(POLL_SECONDS)

    @contextmanager
    def running(self, process: int) -> Iterator[None]:
        """Say that the pool process of this number (from 0) runs a job.

        One that is killed leaves its cell set until its successor of the same number has run a job; a stop in between
        lasts for the whole window.
        """
        cell = 1 + process % MAX_PROCESSES
        self._cells[cell] = 1
        try:
            yield
        finally:
            self._cells[cell] = 0


@cache
def current_board() -> StopBoard:
    """The board of this worker, shared by all processes forked after the first call."""
    return StopBoard()
