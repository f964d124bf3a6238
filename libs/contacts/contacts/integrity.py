"""Telling what others did at the same moment from every other database error."""

import sqlite3

from common.db.mysql import error_code
from common.db.retry import is_conflict
from sqlalchemy.exc import DBAPIError, IntegrityError

_MYSQL_DUPLICATE_ENTRY = 1062


def is_taken_key(error: IntegrityError) -> bool:
    """Whether a row with this unique key is there already."""
    if isinstance(error.orig, sqlite3.IntegrityError):
        return error.orig.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_UNIQUE
    return error.orig is not None and error_code(error.orig) == _MYSQL_DUPLICATE_ENTRY


def is_lost_race(error: DBAPIError) -> bool:
    """Whether another transaction wrote the same keys or rows first, so that a new one may get through."""
    return is_conflict(error) or (isinstance(error, IntegrityError) and is_taken_key(error))
