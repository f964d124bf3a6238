"""Telling a taken unique key from every other database error."""

import sqlite3

from common.db.mysql import error_code
from sqlalchemy.exc import IntegrityError

_MYSQL_DUPLICATE_ENTRY = 1062


def is_taken_key(error: IntegrityError) -> bool:
    """Whether a row with this unique key is there already."""
    if isinstance(error.orig, sqlite3.IntegrityError):
        return error.orig.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_UNIQUE
    return error.orig is not None and error_code(error.orig) == _MYSQL_DUPLICATE_ENTRY
