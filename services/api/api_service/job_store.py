"""The api's own store of jobs as its requests use it: where files are kept, and how many jobs an owner may have."""

from dataclasses import dataclass, field

from flask import current_app
from jobs.files import FileStore, make_file_store

from api_service.config import APISettings

EXTENSION = "job_store"
STORE = "api"
"""What worker and dispatcher call it (JOB_STORES)."""


@dataclass(frozen=True)
class JobStore:
    """What has to be known to accept a job."""

    files: FileStore = field(default_factory=FileStore)
    max_unfinished: int = 10_000

    @classmethod
    def of(cls, settings: APISettings) -> "JobStore":
        return cls(make_file_store(settings.job_files, STORE), settings.jobs_max_unfinished)


def current_job_store() -> JobStore:
    """That of this application."""
    store: JobStore = current_app.extensions[EXTENSION]
    return store
