"""One row for each effect of a job outside the database: meant to happen, or known to have happened."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from jobs.models.base import Base
from jobs.models.columns import enum_column
from jobs.states import EffectState


class JobEffect(Base):
    __tablename__ = "job_effects"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    step: Mapped[str] = mapped_column(String(64), primary_key=True)
    state: Mapped[EffectState] = mapped_column(enum_column(EffectState))
    external_id: Mapped[str | None] = mapped_column(String(255))
    """What the receiver calls it."""
    intended_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
