"""The settings of the worker service: `WorkerSettings` for the worker, `DispatcherSettings` for the dispatcher."""

from worker_service.config.base import JobSettings, WorkerSettings
from worker_service.config.dispatcher.base import DispatcherSettings

__all__ = ["DispatcherSettings", "JobSettings", "WorkerSettings"]
