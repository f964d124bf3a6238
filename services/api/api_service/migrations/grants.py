"""What may be done with each table: `python -m common.db.migrate api_service --grant app=USER --grant worker=USER`.

Contacts are marked, not deleted, so nobody may delete them. A privilege is added with the release that needs it and
taken out one release after the last that did. SELECT ... FOR UPDATE needs UPDATE.
"""

from common.db.grants import Grants
from common.idempotency.grants import DELETING, TAKING
from jobs.grants import ACCEPTING, RUNNING

GRANTS: Grants = {
    # The api service: accepts, shows and cancels jobs, stores uploads, and changes contacts one by one.
    "app": {
        "alembic_version": {"SELECT"},  # readiness compares the revision
        "contacts": {"SELECT", "INSERT", "UPDATE"},
        **ACCEPTING,
        **TAKING,
    },
    # Worker and dispatcher: run jobs and keep their tables, import contacts.
    "worker": {
        "alembic_version": set(),
        "contacts": {"SELECT", "INSERT", "UPDATE"},
        **RUNNING,
        **DELETING,
    },
}
