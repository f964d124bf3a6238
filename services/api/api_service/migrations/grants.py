"""What may be done with each table: `python -m common.db.migrate api_service --grant app=USER --grant worker=USER`.

Nothing is deleted yet (contacts are marked), so nobody may. A privilege is added with the release that needs it and
taken out one release after the last that did. SELECT ... FOR UPDATE needs UPDATE.
"""

from common.db.grants import Grants

GRANTS: Grants = {
    # The api service: accepts, shows and cancels jobs, stores uploads, and changes contacts one by one.
    "app": {
        "alembic_version": {"SELECT"},  # readiness compares the revision
        "contacts": {"SELECT", "INSERT", "UPDATE"},
        "jobs": {"SELECT", "INSERT", "UPDATE"},
        "job_attempts": set(),
        "job_files": {"SELECT", "INSERT", "UPDATE"},  # size and digest are known after the last chunk
        "job_file_chunks": {"SELECT", "INSERT"},
    },
    # Worker and dispatcher: run jobs that are there, import contacts, append to files of rejected rows.
    "worker": {
        "alembic_version": set(),
        "contacts": {"SELECT", "INSERT", "UPDATE"},
        "jobs": {"SELECT", "UPDATE"},
        "job_attempts": {"SELECT", "INSERT", "UPDATE"},
        "job_files": {"SELECT", "INSERT", "UPDATE"},
        "job_file_chunks": {"SELECT", "INSERT"},
    },
}
