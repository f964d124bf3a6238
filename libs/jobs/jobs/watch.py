"""The thread of this process that looks after the jobs it runs: a thread for each job costs as much as a statement."""

import math
import os
import threading
import time
from typing import Protocol


class Watched(Protocol):
    """Something that has to be looked after from time to time."""

    @property
    def due_at(self) -> float:
        """When next, on the monotonic clock. It never comes to be earlier than it was said to be."""
        ...

    def look_after(self) -> None:
        """Do what is due; called by the thread."""
        ...


class Watch:
    """Looks after all it was given, each when it is due, in one thread that sleeps on while jobs come and go.

    One that hangs holds up no later one: who takes it away leaves the thread to it, and the next gets another.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watched: set[Watched] = set()
        self._busy: dict[threading.Thread, Watched] = {}
        self._wakes_at = math.inf
        self._thread: threading.Thread | None = None

    def add(self, watched: Watched) -> None:
        """Look after it from now on."""
        with self._changed:
            if self._thread is None or not self._thread.is_alive():
                self._start_thread()
            elif watched.due_at < self._wakes_at:
                self._changed.notify_all()
            # Last: where no thread can be started, the next one must not renew the lease of a job nobody runs.
            self._watched.add(watched)

    def remove(self, watched: Watched, patience_seconds: float) -> None:
        """Look after it no more. If that is being done just now, wait for the end of it, but no longer than this."""
        with self._changed:
            self._watched.discard(watched)
            if not self._changed.wait_for(lambda: watched not in self._busy.values(), patience_seconds):
                self._give_up_thread()

    def _start_thread(self) -> None:
        self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)
        self._thread.start()

    def _give_up_thread(self) -> None:
        """It ends when it comes back; others it had to look after do not wait for that."""
        self._thread = None
        if self._watched:
            self._start_thread()

    def _run(self) -> None:
        while (watched := self._wait_until_due()) is not None:
            try:
                watched.look_after()
            finally:
                self._note_done()

    def _wait_until_due(self) -> Watched | None:
        """The one that is due; None in a thread that was given up."""
        me = threading.current_thread()
        with self._changed:
            while self._thread is me:
                first = min(self._watched, key=lambda each: each.due_at, default=None)
                self._wakes_at = math.inf if first is None else first.due_at
                pause = self._wakes_at - time.monotonic()
                if first is not None and pause <= 0:
                    self._busy[me] = first
                    return first
                self._changed.wait(min(pause, threading.TIMEOUT_MAX))
        return None

    def _note_done(self) -> None:
        with self._changed:
            del self._busy[threading.current_thread()]
            self._changed.notify_all()


_watch = Watch()


def current_watch() -> Watch:
    """The one of this process."""
    return _watch


def _start_anew() -> None:
    """In a forked child: its parent's thread is not there, and its lock may have been held."""
    global _watch  # noqa: PLW0603 - one for each process
    _watch = Watch()


os.register_at_fork(after_in_child=_start_anew)
