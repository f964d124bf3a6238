"""The dispatcher's program, which dies before or after any publish with the chance DRILL_DEATH_CHANCE."""

import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from jobs.broker import CeleryPublisher
from worker_service import dispatcher

CHANCE = float(os.environ.get("DRILL_DEATH_CHANCE", "0"))


class MortalPublisher(CeleryPublisher):
    """Publishes, unless it dies of it."""

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Send together; die once all are sent and nobody knows yet."""
        with super().batch():
            yield
        _die_perhaps()

    def publish(self, store: str, job_id: UUID, queue: str) -> None:
        """Tell the workers; die between the mark and the message, or after the message."""
        _die_perhaps()
        super().publish(store, job_id, queue)
        _die_perhaps()


def _die_perhaps() -> None:
    if random.random() < CHANCE / 2:  # noqa: S311 - no secret
        os.kill(os.getpid(), signal.SIGKILL)


dispatcher.CeleryPublisher = MortalPublisher  # type: ignore[attr-defined] # the program's own name for it

if __name__ == "__main__":
    raise SystemExit(dispatcher.main())
