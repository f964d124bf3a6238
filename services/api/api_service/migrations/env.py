"""Alembic's entry: which models the revisions beside this file lead to."""

import jobs.files  # noqa: F401 - its tables are in the metadata of jobs
from common import idempotency
from common.db.migrations import run_migrations
from contacts.models import Base as Contacts
from jobs.models import Base as Jobs

run_migrations(Contacts.metadata, Jobs.metadata, idempotency.metadata)
