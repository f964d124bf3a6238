"""Jobs with effects outside the database, schedules and redrives; all of it optional for the release before."""

from jobs import schema_steps

revision = "0002_effects_and_schedules"
down_revision = "0001_contacts_and_jobs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    schema_steps.add_effects_and_schedules()


def downgrade() -> None:
    schema_steps.drop_effects_and_schedules()
