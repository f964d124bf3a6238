"""Kombu's Redis transport for messages that may get lost: no fault in giving one back ends a worker.

When the connection breaks while a job runs, kombu 5.7 closes the transport and then gives the job's message back
through it: an AttributeError, which Celery takes as unrecoverable, so the worker exits. The same can meet the
acknowledgement of a job that ends on a connection gone meanwhile. Neither matters here: the dispatcher sends another
message where one is missing, and one too many finds nothing to claim.
"""

from collections.abc import Sequence
from typing import Any

import structlog
from kombu.transport import redis
from kombu.utils.scheduling import round_robin_cycle

log = structlog.get_logger(__name__)

HELD_BACK_SECONDS = 0.1
"""How long a worker that takes no bulk jobs at the moment waits for others before it looks again which it may take."""


class HintQoS(redis.QoS):
    """Acknowledges and gives back where there still is a connection to do it on."""

    def ack(self, delivery_tag: str) -> None:
        if not self.channel.closed:
            super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if not self.channel.closed:
            super().reject(delivery_tag, requeue=requeue)

    def restore_unacked_once(self, stderr: Any = None) -> None:
        try:
            super().restore_unacked_once(stderr)
        except Exception as error:  # whatever the dead connection answers
            log.info("messages_not_given_back", reason=f"{type(error).__name__}: {error}")

    def count_held(self, queues: Sequence[str]) -> int:
        """How many messages of these queues are taken and not acknowledged: their jobs run, or are about to.

        A job that outlived the connection its message came by counts too: the next channel knows none of those.
        """
        # Those already acknowledged are taken out when the next message comes; that is too late here.
        held = {
            str(tag): message.delivery_info["routing_key"]
            for tag, message in list((self._delivered or {}).items())
            if tag not in (self._dirty or ())
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

    QoS = HintQoS
    bulk_queues: Sequence[str] = ()
    bulk_limit: int = 0
    from_transport_options = (*redis.Channel.from_transport_options, "bulk_queues", "bulk_limit")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._client_of_pool: tuple[Any, Any] = (None, None)
        super().__init__(*args, **kwargs)
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
