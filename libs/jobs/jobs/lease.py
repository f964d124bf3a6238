"""The lease of a job: what every write of a worker names."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class Lease:
    """The right to write for a job: valid while the row is running with this fence."""

    job_id: UUID
    fence: int
