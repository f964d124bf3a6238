"""Celery over Valkey or Redis: one task for all kinds, and settings under which the broker may lose everything."""

import ssl
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any
from uuid import UUID

import structlog
from celery import Celery
from kombu import Queue
from kombu.exceptions import BatchPublishError, ChannelError  # type: ignore[attr-defined] # its stubs are of kombu 5.6

from jobs.dispatcher.publishing import PublishError
from jobs.kinds import BULK_QUEUE

log = structlog.get_logger(__name__)

RUN_TASK = "jobs.run"

# Above the longest hard limit: the worker enforces the limits of each kind itself, Celery's are for a process that
# cannot (code that never lets other threads run).
HARD_LIMIT_MARGIN_SECONDS = 60


def queue_name(store: str, queue: str) -> str:
    """Each store has its own queues, so that the dispatcher of a store can tell how many of its messages wait."""
    return f"{store}.{queue}"


def publisher_settings(broker_url: str) -> dict[str, Any]:
    """What a process needs that only sends; libs/jobs/README.md gives the reason for each setting."""
    return {
        "broker_url": broker_url,
        "broker_transport": "jobs.transport:HintTransport",
        # Said here because naming a transport makes Celery forget that the URL asked for TLS.
        "broker_use_ssl": {"ssl_cert_reqs": ssl.CERT_REQUIRED} if broker_url.startswith("rediss://") else False,
        "broker_transport_options": {
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
        "broker_pool_acquire_timeout": 2,
        "task_publish_retry_policy": {"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2},
        "task_ignore_result": True,
        "result_backend": None,
        "task_serializer": "json",
        "task_send_sent_event": False,
        "enable_utc": True,
        "timezone": "UTC",
    }


def bulk_limit(queues: Collection[str], concurrency: int) -> int:
    """How many of its processes a worker of these queues gives to bulk jobs: all but one, where it has other work.

    A worker with a single process has none to spare: there a short job waits for a long one.
    """
    return concurrency if set(queues) <= {BULK_QUEUE} else max(1, concurrency - 1)


def worker_settings(
    broker_url: str,
    stores: Iterable[str],
    queues: Sequence[str],
    *,
    concurrency: int,
    longest_hard_limit_seconds: float,
) -> dict[str, Any]:
    """What a worker needs that runs jobs of these stores and queues, `concurrency` at once, none over the limit."""
    settings = publisher_settings(broker_url)
    names = [queue_name(store, queue) for store in stores for queue in queues]
    share = {
        "bulk_queues": [name for name in names if name.endswith(f".{BULK_QUEUE}")],
        "bulk_limit": bulk_limit(queues, concurrency),
    }
    return {
        **settings,
        "broker_transport_options": {**settings["broker_transport_options"], **share},
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "task_queues": [Queue(name, routing_key=name) for name in names],
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_acks_on_failure": True,
        "task_acks_on_timeout": True,
        "accept_content": ["json"],
        "task_time_limit": longest_hard_limit_seconds + HARD_LIMIT_MARGIN_SECONDS,
        "worker_concurrency": concurrency,
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_max_tasks_per_child": 1000,
        "worker_max_memory_per_child": 300_000,
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
    }


def add_run_task(app: Celery, run: Callable[[str, UUID], object]) -> None:
    """Make `run(store, job_id)` the one task of the app. A message it cannot read is logged and dropped."""

    # By name, because it loads what only a worker needs.
    @app.task(name=RUN_TASK, Request="jobs.message:JobMessage")
    def run_job(store: str, job_id: str) -> None:
        try:
            parsed = UUID(job_id)
        except (ValueError, AttributeError, TypeError):
            log.error("job_message_malformed", store=store)
            return
        run(store, parsed)


class CeleryPublisher:
    """Sends hints through a Celery app; safe to use from several threads."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._batch = threading.local()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """What this thread publishes in the block is sent at its end, in one go. Raises PublishError there."""
        try:
            with self._app.producer_or_acquire() as producer, producer.batch():
                self._batch.producer = producer
                yield
        except PublishError:
            raise
        except Exception as error:  # kombu, redis-py and sockets each have their own, and all mean: not published
            raise PublishError(_reason(error)) from error
        finally:
            self._batch.producer = None

    def publish(self, store: str, job_id: UUID, queue: str) -> None:
        """Raises PublishError after the retries of the publish policy, in less than a second where nobody listens.

        Within a batch, what may be raised is raised at its end.
        """
        producer = getattr(self._batch, "producer", None)
        if producer is None:
            with self.batch():
                return self.publish(store, job_id, queue)
        # What `send_task` does after it has looked up what is known here.
        text = str(job_id)
        message = self._app.amqp.create_task_message(text, RUN_TASK, args=(store, text), ignore_result=True)
        self._app.amqp.send_task_message(
            producer, RUN_TASK, message, queue=_queue(queue_name(store, queue)), declare=()
        )
        return None

    def count_waiting(self, store: str, queue: str) -> int:
        """Messages in the queue no worker has taken. Raises PublishError."""
        try:
            with self._app.producer_or_acquire() as producer:
                declared = producer.channel.queue_declare(queue=queue_name(store, queue), passive=True)
        except ChannelError:
            # No such queue: with this broker that is how an empty one looks.
            return 0
        except Exception as error:  # as above
            raise PublishError(_reason(error)) from error
        return int(declared.message_count)


_queue = cache(Queue)


def _reason(error: BaseException) -> str:
    if isinstance(error, BatchPublishError) and error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}"
