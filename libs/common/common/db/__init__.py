"""Databases: engine and sessions, column types, models' base, keyset paging, retries, migrations."""

from common.db.base import ModelDefaults, new_metadata
from common.db.database import Database
from common.db.engine import DatabaseURLError
from common.db.migrations import migrate
from common.db.reads import ReadOnlySessionError
from common.db.retry import run_statement, run_write
from common.db.revisions import schema_is_current
from common.db.sessions import ReadSession, WriteSession
from common.db.types import UTCDateTime, UUIDBinary

__all__ = [
    "Database",
    "DatabaseURLError",
    "ModelDefaults",
    "ReadOnlySessionError",
    "ReadSession",
    "UTCDateTime",
    "UUIDBinary",
    "WriteSession",
    "migrate",
    "new_metadata",
    "run_statement",
    "run_write",
    "schema_is_current",
]
