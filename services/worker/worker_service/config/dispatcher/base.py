"""What the process that hands out jobs knows besides."""

from jobs.dispatcher import Retention
from pydantic import Field

from worker_service.config.base import JobSettings


class DispatcherSettings(JobSettings):
    """Durations in seconds."""

    dispatcher_redispatch_seconds: float = Field(default=60, gt=0)
    jobs_keep_succeeded_days: float = Field(default=7, ge=1)
    jobs_keep_cancelled_days: float = Field(default=7, ge=1)
    jobs_keep_failed_days: float = Field(default=30, ge=1)
    jobs_keep_dead_days: float = Field(default=30, ge=1)

    @property
    def retention(self) -> Retention:
        """How long ended jobs are kept."""
        return Retention(
            succeeded_days=self.jobs_keep_succeeded_days,
            cancelled_days=self.jobs_keep_cancelled_days,
            failed_days=self.jobs_keep_failed_days,
            dead_days=self.jobs_keep_dead_days,
        )
