"""What a service has deleted in its store beside jobs: the dispatcher is there anyway, and may."""

from collections.abc import Callable
from dataclasses import dataclass

from common.db import Database

from jobs import metrics


@dataclass(frozen=True)
class Upkeep:
    """One duty in one store. `delete_batch` deletes what is over, some of it in a short transaction, and counts it.

    It is called each minute, and again after a pause as long as it finds something. Where it fails (the table may not
    be there yet) everything else goes on.
    """

    store: str
    name: str
    delete_batch: Callable[[Database], int]

    def run(self, database: Database) -> bool:
        """Delete a batch; return whether there may be more."""
        count = self.delete_batch(database)
        metrics.upkeep_deleted.labels(self.store, self.name).inc(count)
        return count > 0
