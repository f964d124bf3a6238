"""What a dispatcher does again and again: each duty has times and a back-off of its own, so that none slows another."""

import random
import threading
import time
from collections.abc import Callable, Sequence

import structlog
from sqlalchemy.exc import SQLAlchemyError

from jobs import metrics
from jobs.dispatcher.publishing import PublishError

log = structlog.get_logger(__name__)

LONGEST_PAUSE_SECONDS = 5.0
_SHORTEST_PAUSE_SECONDS = 0.1
_FIRST_PAUSE_SECONDS = 0.4


class Duty:
    """Something to do every `seconds`. What says that there is more is due again at the next round.

    With a pause, more is done only after that: it is work that may wait. What fails is due again after a jittered pause
    that grows to LONGEST_PAUSE_SECONDS; what `may_fail`, when it would be anyway.
    """

    def __init__(
        self,
        store: str,
        name: str,
        seconds: float,
        do: Callable[[], bool | None],
        pause_seconds: float = 0,
        *,
        may_fail: bool = False,
    ) -> None:
        self._store = store
        self._name = name
        self._seconds = seconds
        self._do = do
        self._pause_seconds = pause_seconds
        self._may_fail = may_fail
        self._failures = 0
        self._next_at = 0.0
        self._done = metrics.duty_done.labels(store, name)
        self._done.set_to_current_time()

    def do_if_due(self) -> bool:
        """Whether there is more to do at once. A failure is logged, whatever it is: the other duties go on."""
        if time.monotonic() < self._next_at:
            return False
        try:
            has_more = bool(self._do())
        except Exception as error:
            self._tell(error)
            self._failures += 1
            self._next_at = time.monotonic() + (self._seconds if self._may_fail else self._back_off_seconds())
            return False
        self._failures = 0
        self._done.set_to_current_time()
        self._next_at = time.monotonic() + (self._pause_seconds if has_more else self._seconds)
        return has_more and not self._pause_seconds

    def _back_off_seconds(self) -> float:
        longest = min(LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(self._failures - 1, 8))
        return random.uniform(_SHORTEST_PAUSE_SECONDS, longest)  # noqa: S311 - jitter, no secret

    def _tell(self, error: Exception) -> None:
        names = {"store": self._store, "duty": self._name}
        match error:
            case PublishError():
                log.warning("broker_unavailable", reason=str(error), **names)
            case SQLAlchemyError():
                log.warning("job_store_unavailable", reason=str(getattr(error, "orig", error)), **names)
            case _:  # a directory that does not let go of a file, for one
                log.error("duty_failed", exc_info=error, **names)


class Rounds:
    """Duties that take turns in one thread; `last_at` (monotonic) tells that it is alive."""

    def __init__(self, duties: Sequence[Duty], stop: threading.Event, pause_seconds: Callable[[], float]) -> None:
        self._duties = duties
        self._stop = stop
        self._pause_seconds = pause_seconds
        self.last_at = time.monotonic()

    def run(self) -> None:
        """Round after round, until told to stop."""
        while not self._stop.is_set():
            self._stop.wait(self.run_once())

    def run_once(self) -> float:
        """Do what is due now; return the pause until the next round in seconds."""
        has_more = False
        for duty in self._duties:
            if self._stop.is_set():
                break
            has_more = duty.do_if_due() or has_more
            # At each duty: with a database that answers nothing, a whole round takes a minute.
            self.last_at = time.monotonic()
        return 0 if has_more else self._pause_seconds()
