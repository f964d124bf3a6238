"""What the roles of a service may do with the job tables, for the `migrations/grants.py` of each service that has jobs.

    GRANTS: Grants = {"app": {**ACCEPTING, ...}, "worker": {**RUNNING, ...}}

SELECT ... FOR UPDATE needs UPDATE.
"""

from common.db.grants import Tables

ACCEPTING: Tables = {
    "jobs": {"SELECT", "INSERT", "UPDATE"},
    "job_attempts": {"SELECT"},
    "job_effects": {"SELECT", "UPDATE", "DELETE"},  # a redrive says what became of an effect nobody knows the end of
    "job_files": {"SELECT", "INSERT", "UPDATE"},  # size and digest are known after the last chunk
    "job_file_chunks": {"SELECT", "INSERT"},
    "scheduled_runs": set(),
}
"""The service itself: accepts, shows, cancels and redrives jobs, stores uploads."""

RUNNING: Tables = {
    "jobs": {"SELECT", "INSERT", "UPDATE", "DELETE"},  # INSERT: schedules, and jobs of another store
    "job_attempts": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "job_effects": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "job_files": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "job_file_chunks": {"SELECT", "INSERT", "DELETE"},
    "scheduled_runs": {"SELECT", "INSERT", "DELETE"},
}
"""Worker and dispatcher: run jobs, append to their files, make those that are scheduled, delete old ones."""
