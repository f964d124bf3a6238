"""Contacts, and the jobs that import them with their files."""

import sqlalchemy as sa
from alembic import op
from common.db import UTCDateTime, UUIDBinary
from sqlalchemy.dialects import mysql

revision = "0001_contacts_and_jobs"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_contacts()
    _create_job_files()
    _create_jobs()


def downgrade() -> None:
    for table in ("job_attempts", "jobs", "job_file_chunks", "job_files", "contacts"):
        op.drop_table(table)


def _create_contacts() -> None:
    op.create_table(
        "contacts",
        sa.Column("id", UUIDBinary, nullable=False),
        sa.Column("owner_id", UUIDBinary, nullable=False),
        sa.Column("external_id", sa.String(255)),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("given_name", sa.String(120)),
        sa.Column("family_name", sa.String(120)),
        sa.Column("email", sa.String(254)),
        sa.Column("phone", sa.String(50)),
        sa.Column("organization", sa.String(255)),
        sa.Column("address", sa.String(500)),
        sa.Column("url", sa.String(2048)),
        sa.Column("birthday", sa.Date),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("notes", sa.Text),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("updated_at", UTCDateTime, nullable=False),
        sa.Column("deleted_at", UTCDateTime),
        sa.Column(
            "live_external_id",
            sa.String(255),
            sa.Computed("CASE WHEN deleted_at IS NULL THEN external_id END", persisted=False),
        ),
        sa.PrimaryKeyConstraint("id", name="pk_contacts"),
        sa.UniqueConstraint("live_external_id", "owner_id", name="uq_contacts_live_external_id_owner_id"),
    )
    op.create_index("ix_contacts_owner_id_id", "contacts", ["owner_id", "id"])


def _create_job_files() -> None:
    op.create_table(
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
    op.create_index("ix_job_files_owner_id_id", "job_files", ["owner_id", "id"])
    op.create_table(
        "job_file_chunks",
        sa.Column("file_id", UUIDBinary, nullable=False),
        sa.Column("start_byte", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql"), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["job_files.id"], name="fk_job_file_chunks_file_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("file_id", "start_byte", name="pk_job_file_chunks"),
    )


def _create_jobs() -> None:
    op.create_table(
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
    op.create_index("ix_jobs_owner_id_id", "jobs", ["owner_id", "id"])
    op.create_index("ix_jobs_state_dispatched_at_run_after", "jobs", ["state", "dispatched_at", "run_after"])
    op.create_index("ix_jobs_state_finished_at", "jobs", ["state", "finished_at"])
    op.create_index("ix_jobs_state_lease_until", "jobs", ["state", "lease_until"])
    op.create_table(
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
