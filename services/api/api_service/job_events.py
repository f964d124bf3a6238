"""One job as server-sent events (WHATWG HTML, section 9.2): how it stands, and again whenever that changes.

A stream occupies a thread, so it is short, and there are few (`long_answers`). It holds no database session while it
waits; it looks at the row twice a second and lets go of it.
"""

import hashlib
import time
from collections.abc import Callable, Iterator

import structlog
from jobs.errors import JobNotFound
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from api_service.views.jobs import JobView

STREAM_SECONDS = 60.0
POLL_SECONDS = 0.5
HEARTBEAT_SECONDS = 5.0  # a client that is gone is noticed when something is sent to it
RECONNECT_MS = 2000

log = structlog.get_logger(__name__)


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
