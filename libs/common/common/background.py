"""A thread that does one thing again and again while a process serves; started after the fork, ended with it."""

from collections.abc import Callable
from threading import Event, Thread

import structlog

from common.after_fork import call_after_fork

CRASH_PAUSE_SECONDS = 1.0
JOIN_SECONDS = 1.0

log = structlog.get_logger(__name__)


class BackgroundLoop:
    """Calls `step` in a daemon thread of this process and pauses after each call for the seconds it returns.

    `hurry` cuts a pause short. What `step` raises is logged and does not end the thread. A forked child has no thread
    until it calls `start`. `wake` is called by `stop` to interrupt a step that waits for something else than the pause.
    """

    def __init__(self, name: str, step: Callable[[], float], wake: Callable[[], object] = lambda: None) -> None:
        self._name = name
        self._step = step
        self._wake = wake
        self._thread: Thread | None = None
        self._stopping = Event()
        self._pause_over = Event()
        call_after_fork(self._forget_thread)

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called: a step that takes long should end."""
        return self._stopping.is_set()

    def start(self) -> None:
        """Begin, unless it runs already."""
        if self._thread is None:
            thread = Thread(target=self._run, name=self._name, daemon=True)
            thread.start()
            self._thread = thread

    def hurry(self) -> None:
        """Call `step` now, or once more after the call at hand, instead of after the pause."""
        self._pause_over.set()

    def stop(self) -> None:
        """End after the step at hand, and wait for that for JOIN_SECONDS."""
        self._stopping.set()
        self._pause_over.set()
        self._wake()
        if self._thread is not None:
            self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        while not self.is_stopping:
            pause_seconds = self._guarded_step()
            if self._pause_over.wait(pause_seconds):
                self._pause_over.clear()

    def _guarded_step(self) -> float:
        try:
            return self._step()
        except Exception:
            if not self.is_stopping:
                log.exception("background_step_failed", thread=self._name)
            return CRASH_PAUSE_SECONDS

    def _forget_thread(self) -> None:
        self._thread = None
        self._stopping = Event()
        self._pause_over = Event()
