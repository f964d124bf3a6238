"""Repeating work that a database out of reach failed."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

log = structlog.get_logger(__name__)

T = TypeVar("T")


def insist(work: Callable[[], T], seconds: float) -> T:
    """Repeat `work`, with jittered pauses, for as long as the database fails it, at most for `seconds`.

    Only for work that may be done twice: a commit nobody answered may have happened.
    """
    give_up_at = time.monotonic() + seconds
    while True:
        try:
            return work()
        except (OperationalError, InterfaceError) as error:
            pause = random.uniform(0.1, 1)  # noqa: S311 - spreads load, keeps no secret
            if time.monotonic() + pause >= give_up_at:
                raise
            log.warning("job_store_unavailable", reason=reason_of(error))
        time.sleep(pause)


def reason_of(error: DBAPIError) -> str:
    """The database's own words, without the statement and its parameters: those are no matter for a log."""
    return str(error.orig)
