"""The job tables as steps of a schema, for the migrations of each service that has jobs.

A service's revision calls the steps it has not called yet, in their order:

    def upgrade() -> None:
        schema_steps.create_tables()
        schema_steps.add_effects_and_schedules()

A step that was released never changes: what comes next is a step of its own, safe with the release before it (what is
added is optional for code that does not know it). Run again after it stopped half-way, a step goes on where it stopped.
A test of the service compares the outcome with the models.
"""

import sqlalchemy as sa
from alembic import op
from common.db import UTCDateTime, UUIDBinary, resumable
from sqlalchemy.dialects import mysql

TABLES = ("job_attempts", "jobs", "job_file_chunks", "job_files")
"""Of the first step, in the order in which they can be dropped."""


def create_tables() -> None:
    """The first step: jobs, their attempts and files."""
    _create_job_files()
    _create_jobs()


def drop_tables() -> None:
    """Undo the first step."""
    for table in TABLES:
        op.drop_table(table)


def add_effects_and_schedules() -> None:
    """The second step: effects outside the database, schedules, redrives, pieces of files in a directory."""
    resumable.create_table(
        "job_effects",
        sa.Column("job_id", UUIDBinary, nullable=False),
        sa.Column("step", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("external_id", sa.String(255)),
        sa.Column("intended_at", UTCDateTime, nullable=False),
        sa.Column("done_at", UTCDateTime),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_effects_job_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "step", name="pk_job_effects"),
    )
    resumable.create_table(
        "scheduled_runs",
        sa.Column("schedule", sa.String(64), nullable=False),
        sa.Column("scheduled_for", UTCDateTime, nullable=False),
        sa.Column("job_id", UUIDBinary),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.PrimaryKeyConstraint("schedule", "scheduled_for", name="pk_scheduled_runs"),
    )
    resumable.add_column("jobs", sa.Column("claimed_at", UTCDateTime))
    resumable.add_column("jobs", sa.Column("redrive_count", sa.Integer, nullable=False, server_default=sa.text("0")))
    resumable.add_column("jobs", sa.Column("redriven_at", UTCDateTime))
    resumable.add_column("jobs", sa.Column("redriven_by", sa.String(120)))
    resumable.add_column("jobs", sa.Column("cancel_requested_by", sa.String(120)))
    resumable.create_index("ix_jobs_state_owner_id", "jobs", ["state", "owner_id"])
    resumable.create_index(_BY_LEASE, "jobs", ["state", "lease_until", "kind", "queue", "run_after", "deadline_at"])
    resumable.create_index(_BY_MARK, "jobs", ["state", "dispatched_at", "run_after", "queue"])
    # The two above begin with these.
    resumable.drop_index("ix_jobs_state_lease_until", "jobs")
    resumable.drop_index("ix_jobs_state_dispatched_at_run_after", "jobs")
    resumable.add_column(
        "job_file_chunks", sa.Column("sha256", sa.LargeBinary(32).with_variant(mysql.BINARY(32), "mysql"))
    )
    resumable.add_column("job_file_chunks", sa.Column("piece", sa.String(100)))


def drop_effects_and_schedules() -> None:
    """Undo the second step."""
    op.create_index("ix_jobs_state_dispatched_at_run_after", "jobs", ["state", "dispatched_at", "run_after"])
    op.create_index("ix_jobs_state_lease_until", "jobs", ["state", "lease_until"])
    op.drop_index(_BY_MARK, "jobs")
    op.drop_index(_BY_LEASE, "jobs")
    op.drop_index("ix_jobs_state_owner_id", "jobs")
    for table, column in _ADDED:
        op.drop_column(table, column)
    op.drop_table("scheduled_runs")
    op.drop_table("job_effects")


_BY_LEASE = "ix_jobs_state_lease_until_kind_queue_run_after_deadline_at"
_BY_MARK = "ix_jobs_state_dispatched_at_run_after_queue"

_ADDED = (
    ("job_file_chunks", "piece"),
    ("job_file_chunks", "sha256"),
    ("jobs", "cancel_requested_by"),
    ("jobs", "redriven_by"),
    ("jobs", "redriven_at"),
    ("jobs", "redrive_count"),
    ("jobs", "claimed_at"),
)


def _create_job_files() -> None:
    resumable.create_table(
        "job_files",
        sa.Column("id", UUIDBinary, nullable=False),
        sa.Column("owner_id", UUIDBinary, nullable=False),
        sa.Column("job_id", UUIDBinary),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("content_type", sa.String(255), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.LargeBinary(32).with_variant(mysql.BINARY(32), "mysql")),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_job_files"),
        sa.UniqueConstraint("job_id", "name", name="uq_job_files_job_id_name"),
    )
    resumable.create_index("ix_job_files_owner_id_id", "job_files", ["owner_id", "id"])
    resumable.create_table(
        "job_file_chunks",
        sa.Column("file_id", UUIDBinary, nullable=False),
        sa.Column("start_byte", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql"), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["job_files.id"], name="fk_job_file_chunks_file_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("file_id", "start_byte", name="pk_job_file_chunks"),
    )


def _create_jobs() -> None:
    resumable.create_table(
        "jobs",
        sa.Column("id", UUIDBinary, nullable=False),
        sa.Column("owner_id", UUIDBinary, nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("kind_version", sa.Integer, nullable=False),
        sa.Column("queue", sa.String(32), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("idempotency_key", sa.String(200)),
        sa.Column("request_hash", sa.String(64)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("max_attempts", sa.Integer, nullable=False),
        sa.Column("crash_count", sa.Integer, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("lease_until", UTCDateTime),
        sa.Column("worker", sa.String(120)),
        sa.Column("run_after", UTCDateTime, nullable=False),
        sa.Column("deadline_at", UTCDateTime),
        sa.Column("dispatched_at", UTCDateTime),
        sa.Column("dispatch_count", sa.Integer, nullable=False),
        sa.Column("progress", sa.JSON),
        sa.Column("checkpoint", sa.JSON),
        sa.Column("cancel_requested_at", UTCDateTime),
        sa.Column("result", sa.JSON),
        sa.Column("error", sa.JSON),
        sa.Column("traceparent", sa.String(64)),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("started_at", UTCDateTime),
        sa.Column("finished_at", UTCDateTime),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.UniqueConstraint("idempotency_key", "kind", "owner_id", name="uq_jobs_idempotency_key_kind_owner_id"),
    )
    resumable.create_index("ix_jobs_owner_id_id", "jobs", ["owner_id", "id"])
    resumable.create_index("ix_jobs_state_dispatched_at_run_after", "jobs", ["state", "dispatched_at", "run_after"])
    resumable.create_index("ix_jobs_state_finished_at", "jobs", ["state", "finished_at"])
    resumable.create_index("ix_jobs_state_lease_until", "jobs", ["state", "lease_until"])
    resumable.create_table(
        "job_attempts",
        sa.Column("job_id", UUIDBinary, nullable=False),
        sa.Column("fence", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("worker", sa.String(120), nullable=False),
        sa.Column("started_at", UTCDateTime, nullable=False),
        sa.Column("ended_at", UTCDateTime),
        sa.Column("outcome", sa.String(16)),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_attempts_job_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "fence", name="pk_job_attempts"),
    )
