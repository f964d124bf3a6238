"""What surrounds a job while it runs, apart from the job: its store, the other stores, files, and how to stop."""

from collections.abc import Callable
from dataclasses import dataclass, field

from common.db import Database

from jobs.files import FileStore
from jobs.keeper import Timing
from jobs.stores import Stores


@dataclass(frozen=True)
class Site:
    """Of one job, in the process that runs it."""

    store: str
    database: Database
    stores: Stores
    files: FileStore = field(default_factory=FileStore)
    timing: Timing = field(default_factory=Timing)
    is_stopping: Callable[[], bool] = bool
