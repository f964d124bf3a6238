"""Kombu's Redis transport for messages that may get lost: nothing is kept of those a worker holds.

Kombu writes each message it takes into a hash of the broker and takes it out again when it is acknowledged, so that it
comes back after the visibility timeout if the worker dies meanwhile. A message here is found to be missing, and sent
again, by the dispatcher, and long before that; so a worker asks the broker for the next message and for nothing else.
What it still holds when it stops it gives back, from memory.

When the connection breaks while a job runs, kombu 5.7 closes the transport and then gives the job's message back
through it: an AttributeError, which Celery takes as unrecoverable, so the worker would exit. Here that is a line in the
log: the dispatcher sends another message where one is missing, and one too many finds nothing to claim.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import structlog
from kombu.transport import redis, virtual
from kombu.utils.scheduling import round_robin_cycle

log = structlog.get_logger(__name__)

HELD_BACK_SECONDS = 0.1
"""How long a worker that takes no bulk jobs at the moment waits for others before it looks again which it may take."""


class HintQoS(virtual.QoS):
    """The messages a worker holds, in its memory only. It gives them back where there still is a connection for it."""

    _delivered: OrderedDict[str, Any]
    _dirty: set[str]

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        held = self._delivered.get(delivery_tag)
        if requeue and held is not None:
            self._give_back([held])
        self.ack(delivery_tag)

    def restore_unacked(self) -> list[Any]:  # type: ignore[override] # what could not be given back; its stubs say None
        self._flush()  # type: ignore[attr-defined] # missing in its stubs
        held = list(self._delivered.values())
        self._delivered.clear()
        self._give_back(held)
        return []

    def _give_back(self, messages: Sequence[Any]) -> None:
        """As many as the broker takes; kombu would log the others as an error and write them into a file."""
        try:
            for message in messages:
                self.channel._restore(message)  # noqa: SLF001 - there is no other way
        except Exception as error:  # whatever the dead connection answers
            log.info("messages_not_given_back", reason=f"{type(error).__name__}: {error}")

    def count_held(self, queues: Sequence[str]) -> int:
        """How many messages of these queues are taken and not acknowledged: their jobs run, or are about to.

        A job that outlived the connection its message came by counts too: the next channel knows none of those.
        """
        # Those already acknowledged are taken out when the next message comes; that is too late here.
        held = {
            str(tag): message.delivery_info["routing_key"]
            for tag, message in list(self._delivered.items())
            if tag not in self._dirty
        }
        return sum(queue in queues for queue in (held | _queues_of_running_jobs()).values())


def _queues_of_running_jobs() -> dict[str, str]:
    """Where the messages came from whose jobs this worker's processes run, by the tag of the message."""
    from celery.worker.state import active_requests  # noqa: PLC0415 - loads what only a worker needs

    running = tuple(active_requests)
    return {str(request.message.delivery_tag): request.delivery_info["routing_key"] for request in running}


class HintChannel(redis.Channel):
    """A channel of such messages, which takes no more of those from bulk queues at once than it was told.

    Redis hands out one message per request, so who counts before each request never holds one too many. The others
    stay in the broker, for a worker that has a process free for them.
    """

    ack_emulation = False
    # No message has a priority of its own: one list for each queue instead of four, all of which each request names.
    priority_steps = [0]  # noqa: RUF012 - the type kombu has it in
    bulk_queues: Sequence[str] = ()
    bulk_limit: int = 0
    from_transport_options = (*redis.Channel.from_transport_options, "bulk_queues", "bulk_limit")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._client_of_pool: tuple[Any, Any] = (None, None)
        super().__init__(*args, **kwargs)
        # Kombu takes one of its own where the broker keeps nothing.
        self.QoS = HintQoS  # type: ignore[assignment] # its stubs know that of Redis only
        self._queue_cycle = HintCycle(self)

    def _create_client(self, asynchronous: bool = False) -> Any:
        """One client for each pool: kombu makes a new one for each command, which takes as long as sending it."""
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[misc] # missing in its stubs
        pool, client = self._client_of_pool
        # After a lost connection there is another pool.
        if pool is not self.pool:
            client = super()._create_client()  # type: ignore[misc] # as above
            self._client_of_pool = (self.pool, client)
        return client

    def without_too_many_bulk(self, queues: list[str]) -> list[str]:
        """Of these queues, the ones to take a message from now."""
        return [queue for queue in queues if queue not in self.bulk_queues] if self._is_full_of_bulk() else queues

    def _brpop_start(self, timeout: float | None = None) -> None:
        # A request names its queues once: one without the bulk queues has to be over soon after a bulk job is.
        seconds = HELD_BACK_SECONDS if timeout is None and self._is_full_of_bulk() else timeout
        super()._brpop_start(seconds)  # type: ignore[misc] # not in its stubs

    def _is_full_of_bulk(self) -> bool:
        return bool(self.bulk_queues) and self.qos.count_held(self.bulk_queues) >= self.bulk_limit  # type: ignore[attr-defined] # its QoS is the one above


class HintCycle(round_robin_cycle):  # type: ignore[type-arg] # generic in its stubs only
    """The queues to ask next, in turn."""

    def __init__(self, channel: HintChannel) -> None:
        super().__init__()
        self._channel = channel

    def consume(self, n: int) -> Any:
        return self._channel.without_too_many_bulk(list(super().consume(n)))


class HintTransport(redis.Transport):
    """Set as `broker_transport`; the broker's URL stays redis:// or rediss://."""

    Channel = HintChannel
