"""Kinds whose handlers write the ledger, and some that do not behave."""

import os
import signal
import time

from contacts.exports import CONTACTS_EXPORT, ExportPayload
from jobs.context import JobContext
from jobs.kinds import Kind, job_kind
from pydantic import BaseModel

from devtools.drills.jobs.ledger import write_ledger


class Work(BaseModel):
    """So many steps, each of which takes `seconds` before its effect."""

    seconds: float = 0.0
    steps: int = 1


class WorkOfTomorrow(Work):
    """The shape of the next version."""

    note: str


WORK = job_kind("drill.work", 1, payload=Work)
NEXT_WORK = job_kind("drill.work", 2, payload=WorkOfTomorrow)
NOTHING = job_kind("drill.nothing", 1, payload=Work)
POISON = job_kind("drill.poison", 1, payload=Work)


def do_work(job: JobContext, payload: Work) -> None:
    """Go on after the last step that was committed; each step is an entry of the ledger."""
    done = job.checkpoint["done"] if job.checkpoint else 0
    while done < payload.steps:
        time.sleep(payload.seconds)
        with job.chunk() as chunk:
            done += 1
            write_ledger(chunk.session, job.job_id, done)
            chunk.save({"done": done}, done=done, total=payload.steps, unit="steps")


def do_nothing(job: JobContext, payload: Work) -> None:
    """Have no effect: what is left is what every job costs."""


def kill_own_process(job: JobContext, payload: Work) -> None:
    """End as the kernel ends who takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def export_into_the_ledger(job: JobContext, payload: ExportPayload) -> None:
    """In the place of an export, so that a job accepted over HTTP is in the ledger like the others."""
    do_work(job, Work())


KINDS: tuple[Kind, ...] = (
    WORK(do_work),
    NOTHING(do_nothing),
    POISON(kill_own_process),
    CONTACTS_EXPORT(export_into_the_ledger),
)
"""Those of a worker of today."""

NEXT_KINDS: tuple[Kind, ...] = (*KINDS, NEXT_WORK(do_work))
"""Those of the release after it, which still runs the old version."""
