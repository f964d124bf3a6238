"""Jobs that are accepted at a steady rate while something else goes on, as by a service with users."""

import random
import time
from collections.abc import Callable
from threading import Event, Thread
from types import TracebackType
from typing import Self
from uuid import UUID

from kombu.exceptions import OperationalError as BrokerUnavailable
from sqlalchemy.exc import SQLAlchemyError

LONGEST_SECONDS = 0.3
REFUSALS = (SQLAlchemyError, BrokerUnavailable, OSError)


class Intake:
    """A thread that accepts `jobs` jobs within `seconds`. `accept` makes one; what it raises is a refusal.

    A machine too busy for that many gets half as much time again, and then fewer jobs.
    """

    def __init__(self, accept: Callable[[], UUID | None], jobs: int, seconds: float) -> None:
        self.accepted: set[UUID] = set()
        self.refused = 0
        self._accept = accept
        self._jobs, self._pause_seconds = jobs, seconds / jobs
        self._stop = Event()
        self._thread = Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if error is not None:
            self.stop()
        self._thread.join()

    def stop(self) -> None:
        """Accept no more."""
        self._stop.set()

    def _run(self) -> None:
        next_at = time.monotonic()
        give_up_at = next_at + 1.5 * self._jobs * self._pause_seconds
        while len(self.accepted) < self._jobs and not self._stop.wait(max(0.0, next_at - time.monotonic())):
            if time.monotonic() > give_up_at:
                return
            next_at += self._pause_seconds
            self._try()

    def _try(self) -> None:
        try:
            job_id = self._accept()
        except REFUSALS:
            self.refused += 1
            self._stop.wait(0.2)
        else:
            if job_id is not None:
                self.accepted.add(job_id)


def some_seconds(chance: random.Random) -> float:
    """How long a job of the drills works: mostly a moment."""
    return chance.uniform(0.05, LONGEST_SECONDS)
