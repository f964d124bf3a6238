"""Kombu's Redis transport for messages that may get lost: no fault in giving one back ends a worker.

When the connection breaks while a job runs, kombu 5.7 closes the transport and then gives the job's message back
through it: an AttributeError, which Celery takes as unrecoverable, so the worker exits. The same can meet the
acknowledgement of a job that ends on a connection gone meanwhile. Neither matters here: the dispatcher sends another
message where one is missing, and one too many finds nothing to claim.
"""

from typing import Any

import structlog
from kombu.transport import redis

log = structlog.get_logger(__name__)


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


class HintChannel(redis.Channel):
    """A channel of such messages."""

    QoS = HintQoS


class HintTransport(redis.Transport):
    """Set as `broker_transport`; the broker's URL stays redis:// or rediss://."""

    Channel = HintChannel
