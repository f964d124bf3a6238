"""Alembic's entry: which models the revisions beside this file lead to."""

import jobs.files  # noqa: F401 - its tables are in the metadata of jobs
from auth_service.models import Base as Auth
from common.db.migrations import run_migrations
from jobs.models import Base as Jobs

run_migrations(Auth.metadata, Jobs.metadata)
