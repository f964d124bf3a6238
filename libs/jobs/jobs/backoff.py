"""How long a failed attempt waits for the next one."""

import random

BASE_SECONDS = 2.0
LONGEST_SECONDS = 15 * 60
FIRST_SECONDS = 1.0
"""Most failures are gone when looked at again, so the first retry comes soon."""


def backoff_seconds(attempt: int) -> float:
    """Return a random delay after the failed attempt number `attempt` (from 1).

    Full jitter, between 0 and a limit that doubles: what failed together does not come back together.
    """
    limit = FIRST_SECONDS if attempt <= 1 else min(LONGEST_SECONDS, BASE_SECONDS * 2 ** min(attempt, 20))
    return random.uniform(0, limit)  # noqa: S311 - spreads load, keeps no secret
