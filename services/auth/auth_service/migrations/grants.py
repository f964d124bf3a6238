"""What may be done with each table: `python -m common.db.migrate auth_service --grant app=USER --grant worker=USER`.

Of auth's own rows nothing is deleted yet, so nobody may. A privilege is added with the release that needs it and taken
out one release after the last that did. SELECT ... FOR UPDATE needs UPDATE.
"""

from common.db.grants import Grants
from jobs.grants import ACCEPTING, RUNNING

GRANTS: Grants = {
    # The auth service; it accepts, shows, cancels and redrives jobs.
    "app": {
        "alembic_version": {"SELECT"},  # readiness compares the revision
        "users": {"SELECT", "INSERT", "UPDATE"},
        "sessions": {"SELECT", "INSERT", "UPDATE"},
        "audit_events": {"SELECT", "INSERT"},  # who gets in here cannot cover their tracks
        **ACCEPTING,
    },
    # Worker and dispatcher: run jobs and keep their tables. No kind of theirs touches accounts yet.
    "worker": {
        "alembic_version": set(),
        "users": set(),
        "sessions": set(),
        "audit_events": set(),
        **RUNNING,
    },
}
