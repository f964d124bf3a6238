"""The worker's program with kinds besides its own that wait, crash and do not listen."""

import os
import signal
import time
from contextlib import suppress

from jobs.context import JobContext
from jobs.kinds import job_kind
from pydantic import BaseModel
from worker_service import tasks
from worker_service.worker import main


class Numbers(BaseModel):
    count: int = 0


def count(job: JobContext, payload: Numbers) -> Numbers:
    """Commit one step each 0.1 s and write down each step that was begun."""
    done = job.checkpoint["done"] if job.checkpoint else 0
    while done < payload.count:
        with job.chunk() as chunk:
            done += 1
            chunk.append_file("ledger.txt", b"%d\n" % done)
            chunk.save({"done": done}, done=done, total=payload.count, unit="steps")
        time.sleep(0.1)
    return Numbers(count=done)


def crash(job: JobContext, payload: Numbers) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def ignore_everything(job: JobContext, payload: Numbers) -> None:
    while True:
        with suppress(Exception):
            time.sleep(60)


tasks.KINDS = (
    *tasks.KINDS,
    job_kind("count", 1, payload=Numbers)(count),
    job_kind("count-in-bulk", 1, payload=Numbers, queue="bulk")(count),
    job_kind("crash", 1, payload=Numbers)(crash),
    job_kind("deaf", 1, payload=Numbers)(ignore_everything),
    job_kind("stubborn", 1, payload=Numbers, soft_limit=0.5, hard_limit=1)(ignore_everything),
)

if __name__ == "__main__":
    raise SystemExit(main())
