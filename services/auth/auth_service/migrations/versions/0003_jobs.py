"""The job tables: what auth does in the background is accepted in its own database. Only additions."""

from jobs import schema_steps

revision = "0003_jobs"
down_revision = "0002_derived_refresh_tokens"
branch_labels = None
depends_on = None


def upgrade() -> None:
    schema_steps.create_tables()
    schema_steps.add_effects_and_schedules()


def downgrade() -> None:
    schema_steps.drop_effects_and_schedules()
    schema_steps.drop_tables()
