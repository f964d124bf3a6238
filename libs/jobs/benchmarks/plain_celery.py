"""Celery without the table: what the jobs of this package are compared with. Late acknowledgement, one at a time."""

import os

from celery import Celery
from kombu import Queue

app = Celery("plain_celery", broker=os.environ.get("BROKER_URL"))
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
    task_queues=[Queue("plain", routing_key="plain")],
)


@app.task(name="plain.noop")  # type: ignore[untyped-decorator] # ships no types
def do_nothing(store: str, job_id: str) -> None:
    """Nothing, with the arguments a job's message has."""
