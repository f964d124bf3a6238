"""Keys of requests that are done once, with their answers; the release before takes none."""

from common.idempotency import schema_steps

revision = "0003_idempotency_keys"
down_revision = "0002_effects_and_schedules"
branch_labels = None
depends_on = None


def upgrade() -> None:
    schema_steps.create_table()


def downgrade() -> None:
    schema_steps.drop_table()
