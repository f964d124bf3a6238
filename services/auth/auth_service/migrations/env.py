"""Alembic's entry: which models the revisions beside this file lead to."""

from auth_service.models import Base
from common.db.migrations import run_migrations

run_migrations(Base.metadata)
