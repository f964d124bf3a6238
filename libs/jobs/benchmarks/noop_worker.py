"""The worker's program with a kind besides its own that does nothing."""

from jobs.context import JobContext
from jobs.kinds import job_kind
from jobs.testing import Numbers
from worker_service import tasks
from worker_service.worker import main


@job_kind("noop", 1, payload=Numbers)
def do_nothing(job: JobContext, payload: Numbers) -> None:
    """Nothing."""


tasks.KINDS = (*tasks.KINDS, do_nothing)

if __name__ == "__main__":
    raise SystemExit(main())
