"""The job row: queue of record, outbox and history in one."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from jobs.models.base import Base
from jobs.models.columns import JSONObject, enum_column, json_column
from jobs.states import JobState


class Job(Base):
    __tablename__ = "jobs"
    __table_args__ = (
        # The narrowest column first: written (owner_id, kind, key), MySQL would take it for the owner's list and sort.
        UniqueConstraint("idempotency_key", "kind", "owner_id"),
        Index(None, "owner_id", "id"),
        # How many unfinished jobs an owner has. Not the owner first: MySQL would take it for the owner's list and sort.
        Index(None, "state", "owner_id"),
        # What is due and not yet published is one range of this index, however long the published backlog is.
        # With the queue, what was published long ago is told from what waits in the broker without reading a row.
        Index(None, "state", "dispatched_at", "run_after", "queue"),
        # Whose lease ran out; and all that the gauges and the look for deadlines want to know, so that they read no
        # row, however many jobs wait or have failed.
        Index(None, "state", "lease_until", "kind", "queue", "run_after", "deadline_at"),
        Index(None, "state", "finished_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(String(64))
    kind_version: Mapped[int]
    queue: Mapped[str] = mapped_column(String(32))
    priority: Mapped[int] = mapped_column(default=0)
    payload: Mapped[JSONObject] = mapped_column(json_column)
    idempotency_key: Mapped[str | None] = mapped_column(String(200))
    request_hash: Mapped[str | None] = mapped_column(String(64))
    state: Mapped[JobState] = mapped_column(enum_column(JobState), default=JobState.QUEUED)
    attempt: Mapped[int] = mapped_column(default=0)
    """Attempts begun that count: one ended by a stop of the worker or by its crash is taken back."""
    max_attempts: Mapped[int]
    crash_count: Mapped[int] = mapped_column(default=0)
    """Crashes since the job last made progress."""
    fence: Mapped[int] = mapped_column(BigInteger, default=0)
    """Grows with each claim; every write of a running job names the fence it was claimed with."""
    lease_until: Mapped[datetime | None]
    claimed_at: Mapped[datetime | None]
    """When the last attempt began."""
    worker: Mapped[str | None] = mapped_column(String(120))
    run_after: Mapped[datetime]
    deadline_at: Mapped[datetime | None]
    dispatched_at: Mapped[datetime | None]
    dispatch_count: Mapped[int] = mapped_column(default=0)
    progress: Mapped[JSONObject | None] = mapped_column(json_column)
    checkpoint: Mapped[JSONObject | None] = mapped_column(json_column)
    cancel_requested_at: Mapped[datetime | None]
    cancel_requested_by: Mapped[str | None] = mapped_column(String(120))
    """The operator who asked; None where its owner did."""
    result: Mapped[JSONObject | None] = mapped_column(json_column)
    error: Mapped[JSONObject | None] = mapped_column(json_column)
    """{code, message} of the last failure; the message is safe to show to the owner."""
    traceparent: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    redrive_count: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """How often an operator gave it a new budget of attempts; when last, and who."""
    redriven_at: Mapped[datetime | None]
    redriven_by: Mapped[str | None] = mapped_column(String(120))
