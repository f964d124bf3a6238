"""What may be done with each table: `python -m common.db.migrate auth_service --grant app=USER` grants it.

Nothing is deleted yet, so nobody may. A privilege is added with the release that needs it and taken out one release
after the last that did.
"""

from common.db.grants import Grants

GRANTS: Grants = {
    # The auth service.
    "app": {
        "alembic_version": {"SELECT"},  # readiness compares the revision
        "users": {"SELECT", "INSERT", "UPDATE"},
        "sessions": {"SELECT", "INSERT", "UPDATE"},
        "audit_events": {"SELECT", "INSERT"},  # who gets in here cannot cover their tracks
    },
}
