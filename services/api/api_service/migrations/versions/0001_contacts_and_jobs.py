"""Contacts, and the jobs that import them with their files."""

import sqlalchemy as sa
from alembic import op
from common.db import UTCDateTime, UUIDBinary, resumable
from jobs import schema_steps

revision = "0001_contacts_and_jobs"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_contacts()
    schema_steps.create_tables()


def downgrade() -> None:
    schema_steps.drop_tables()
    op.drop_table("contacts")


def _create_contacts() -> None:
    resumable.create_table(
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
    resumable.create_index("ix_contacts_owner_id_id", "contacts", ["owner_id", "id"])
