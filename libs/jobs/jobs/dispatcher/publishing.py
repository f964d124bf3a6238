"""What the dispatcher needs from a broker."""

from contextlib import AbstractContextManager
from typing import Protocol
from uuid import UUID


class PublishError(Exception):
    """The broker did not take a message, or did not say so in time: it may have it all the same."""


class Publisher(Protocol):
    """Sends hints. Not trusted: a message may get lost or come twice, the job table makes both harmless."""

    def batch(self) -> AbstractContextManager[None]:
        """What is published in the block may be sent together at its end; a PublishError there is about all of it."""
        ...

    def publish(self, store: str, job_id: UUID, queue: str) -> None:
        """Tell the workers of the queue that the job is due. Raises PublishError."""
        ...

    def count_waiting(self, store: str, queue: str) -> int:
        """Return how many messages of the store the queue holds that no worker has taken. Raises PublishError."""
        ...
