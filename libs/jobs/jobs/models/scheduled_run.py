"""One row for each time a schedule was due: what makes doubles impossible."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from jobs.models.base import Base


class ScheduledRun(Base):
    __tablename__ = "scheduled_runs"

    schedule: Mapped[str] = mapped_column(String(64), primary_key=True)
    scheduled_for: Mapped[datetime] = mapped_column(primary_key=True)
    job_id: Mapped[UUID | None]
    """None where no job was made: the schedule was new then, its last job still ran, or the time was missed."""
    created_at: Mapped[datetime]
