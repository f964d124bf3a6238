"""The control: Celery alone, with every switch for reliability on and no job table, doing the same work.

Run as `python -m devtools.drills.jobs.plain`. What it loses and doubles shows that the drills would notice.
"""

import os
import sys
import time
from collections.abc import Callable
from functools import cache
from uuid import UUID

from celery import Celery
from common.db import Database
from common.ids import new_id
from jobs.broker import worker_settings

from devtools.drills.jobs.ledger import write_ledger

TASK = "drill.plain"
QUEUE = "plain.default"
VISIBILITY_SECONDS = 5


def make_app(broker_url: str) -> Celery:
    """Return the application, for worker and sender."""
    app = Celery("plain")
    settings = worker_settings(broker_url, ["plain"], ["default"], concurrency=2, longest_hard_limit_seconds=60)
    # Kombu's own transport: ours keeps nothing in the broker of what a worker holds.
    del settings["broker_transport"]
    settings["broker_transport_options"] |= {
        "visibility_timeout": VISIBILITY_SECONDS,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    }
    app.conf.update(settings)

    @app.task(name=TASK)
    def work(job_id: str, seconds: float) -> None:
        time.sleep(seconds)
        with _database().write() as session:
            write_ledger(session, job_id, 1)
            session.commit()

    @app.task(name=f"{TASK}.nothing")
    def nothing(job_id: str) -> None:
        pass

    return app


def sender(broker_url: str, seconds: Callable[[], float]) -> Callable[[], UUID]:
    """Return what accepts a job as far as plain Celery does: the broker has the message."""
    app = make_app(broker_url)

    def send() -> UUID:
        job_id = new_id()
        app.send_task(TASK, args=(str(job_id), seconds()), queue=QUEUE)
        return job_id

    return send


@cache
def _database() -> Database:
    return Database(os.environ["JOB_STORES"].partition("=")[2], pool_size=2)


if __name__ == "__main__":
    application = make_app(os.environ["BROKER_URL"])
    application.worker_main(["worker", "--pool=prefork", "--without-gossip", "--without-mingle", *sys.argv[1:]])
