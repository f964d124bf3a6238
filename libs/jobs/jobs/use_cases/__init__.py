"""What an owner can do with their jobs: `from jobs.use_cases import get_job, list_jobs, cancel_job`."""

from jobs.use_cases.jobs import cancel_job, get_job, list_jobs

__all__ = ["cancel_job", "get_job", "list_jobs"]
