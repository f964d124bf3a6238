"""Answers that keep a thread for as long as their client likes: only so many at once, or no other request is served."""

import threading
from collections.abc import Callable

from flask import current_app

from api_service.errors import TooManyDownloads, TooManyStreams

EXTENSION = "long_answers"


class LongAnswers:
    """Counts the streams and downloads of this process: together they leave one thread, and streams half of them."""

    def __init__(self, threads: int) -> None:
        """A process of one thread sends no streams, and one file."""
        self._most_streams = threads // 2
        self._most = max(1, threads - 1)
        self._streams = 0
        self._all = 0
        self._lock = threading.Lock()

    def take_stream(self) -> Callable[[], None]:
        """Return the function that gives the thread back; calling it again does nothing. Raises TooManyStreams."""
        with self._lock:
            if self._streams >= self._most_streams or self._all >= self._most:
                raise TooManyStreams("This process sends as many streams as it may; ask for the job itself.")
            self._add(1, 1)
        return _Once(lambda: self._give_back(streams=1))

    def take_download(self) -> Callable[[], None]:
        """Return the function that gives the thread back; calling it again does nothing. Raises TooManyDownloads."""
        with self._lock:
            if self._all >= self._most:
                raise TooManyDownloads("This process sends as many files as it may; come again in a moment.")
            self._add(1, 0)
        return _Once(lambda: self._give_back(streams=0))

    def _give_back(self, streams: int) -> None:
        with self._lock:
            self._add(-1, -streams)

    def _add(self, answers: int, streams: int) -> None:
        self._all += answers
        self._streams += streams


def current_long_answers() -> LongAnswers:
    """Those of the application that answers."""
    answers: LongAnswers = current_app.extensions[EXTENSION]
    return answers


class _Once:
    def __init__(self, work: Callable[[], None]) -> None:
        self._work: Callable[[], None] | None = work

    def __call__(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            work()
