"""Waiting for what another thread or process does."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], seconds: float = 40) -> T:
    """Wait until `condition` gives something true, and return that; raises TimeoutError."""
    give_up_at = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.01)
    return answer
