"""The worker's program with kinds that wait, crash and do not listen."""

import os
import signal
import time
from contextlib import suppress

from jobs.context import JobContext
from jobs.registry import Kind
from pydantic import BaseModel
from worker_service import tasks
from worker_service.worker import main


class Numbers(BaseModel):
    count: int = 0


def count(job: JobContext, payload: Numbers) -> Numbers:
    """Commit one step each 0.1 s and write down each step that was begun."""
    done = job.checkpoint["done"] if job.checkpoint else 0
    while done < payload.count:
        with job.step() as step:
            done += 1
            step.append_file("ledger.txt", b"%d\n" % done)
            step.save({"done": done}, done=done, total=payload.count, unit="steps")
        time.sleep(0.1)
    return Numbers(count=done)


def crash(job: JobContext, payload: Numbers) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def ignore_everything(job: JobContext, payload: Numbers) -> None:
    while True:
        with suppress(Exception):
            time.sleep(60)


tasks.KINDS = (
    Kind("count", 1, Numbers, count),
    Kind("crash", 1, Numbers, crash),
    Kind("deaf", 1, Numbers, ignore_everything),
    Kind("stubborn", 1, Numbers, ignore_everything, soft_time_limit_seconds=0.5, hard_time_limit_seconds=1),
)

if __name__ == "__main__":
    raise SystemExit(main())
