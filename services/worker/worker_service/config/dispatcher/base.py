"""What the process that hands out jobs knows besides."""

from pydantic import Field

from worker_service.config.base import JobSettings


class DispatcherSettings(JobSettings):
    """Durations in seconds."""

    dispatcher_redispatch_seconds: float = Field(default=60, gt=0)
