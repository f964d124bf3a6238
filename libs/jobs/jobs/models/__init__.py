"""The tables of a job store. The service that owns the store creates them by its migrations."""

# As a module, not its names: `jobs.files` may be what is being imported right now. It adds its tables to Base.metadata.
import jobs.files.models  # noqa: F401 - the metadata is complete once this package is imported
from jobs.models.attempt import JobAttempt
from jobs.models.base import Base
from jobs.models.effect import JobEffect
from jobs.models.job import Job
from jobs.models.scheduled_run import ScheduledRun

__all__ = ["Base", "Job", "JobAttempt", "JobEffect", "ScheduledRun"]
