"""The one source of the present moment; nothing else calls `datetime.now`."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""What code that depends on time takes as a parameter, so that a test can move it."""


def utc_now() -> datetime:
    """Return the present moment as aware UTC, with microseconds."""
    return datetime.now(UTC)
