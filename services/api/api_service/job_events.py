"""One job as server-sent events (WHATWG HTML, section 9.2): how it stands, and again whenever that changes.

A stream occupies a thread, so it is short, and there are few: half of the threads at most. It holds no database session
while it waits; it looks at the row twice a second and lets go of it.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator

import structlog
from jobs.errors import JobNotFound
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from api_service.errors import TooManyStreams
from api_service.views.jobs import JobView

STREAM_SECONDS = 60.0
POLL_SECONDS = 0.5
HEARTBEAT_SECONDS = 5.0  # a client that is gone is noticed when something is sent to it
RECONNECT_MS = 2000
EXTENSION = "job_streams"

log = structlog.get_logger(__name__)


class StreamSlots:
    """Counts the streams of this process."""

    def __init__(self, limit: int) -> None:
        """With a limit of 0 (a process of one thread) there are none."""
        self._limit = limit
        self._taken = 0
        self._lock = threading.Lock()

    def take(self) -> Callable[[], None]:
        """Return the function that gives the slot back; calling it again does nothing. Raises TooManyStreams."""
        with self._lock:
            if self._taken >= self._limit:
                raise TooManyStreams(f"This process sends {self._taken} streams already; ask for the job itself.")
            self._taken += 1
        return _Once(self._give_back)

    def _give_back(self) -> None:
        with self._lock:
            self._taken -= 1


class _Once:
    def __init__(self, work: Callable[[], None]) -> None:
        self._work: Callable[[], None] | None = work

    def __call__(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            work()


def event_id(view: JobView) -> str:
    """A name for how the job stands, the same in every process."""
    return hashlib.sha256(view.__pydantic_serializer__.to_json(view)).hexdigest()[:16]


def stream_events(read: Callable[[], JobView], is_stopping: Callable[[], bool]) -> Iterator[bytes]:
    """Yield the events of a job until it has ended, STREAM_SECONDS are over or the process is told to end.

    `read` looks the job up, in a session of its own. After each of these ends but the first the client connects again
    by itself. While the database does not answer nobody can be told anything, so the stream ends then too.
    """
    ends_at = time.monotonic() + STREAM_SECONDS
    yield b"retry: %d\n\n" % RECONNECT_MS
    shown, sent_at = "", time.monotonic()
    while True:
        try:
            view = read()
        except JobNotFound:
            return  # deleted with its time
        except (OperationalError, InterfaceError, PoolTimeoutError) as error:
            log.warning("job_events_ended", reason=type(error).__name__)
            return
        if (name := event_id(view)) != shown:
            yield _event(view, name)
            shown, sent_at = name, time.monotonic()
        if view.state.is_final or is_stopping() or time.monotonic() >= ends_at:
            return
        if time.monotonic() - sent_at >= HEARTBEAT_SECONDS:
            yield b": still there\n\n"
            sent_at = time.monotonic()
        time.sleep(POLL_SECONDS)


def _event(view: JobView, name: str) -> bytes:
    # JSON has no line end of its own in it, so it is one line of data.
    return b"event: job\nid: %s\ndata: %s\n\n" % (name.encode(), view.__pydantic_serializer__.to_json(view))
