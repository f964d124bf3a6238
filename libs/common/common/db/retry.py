"""Repeating a unit of work that the database threw out, where repeating it cannot double its effects."""

import random
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from common.db.database import Database
from common.db.mysql import error_code, is_gone
from common.db.sessions import WriteSession

T = TypeVar("T")

_DEADLOCK = 1213
_LOCK_WAIT_TIMEOUT = 1205
# 1040 too many connections, 1203 too many of this user, 1290 and 1836 read-only server (a failover in progress).
_REFUSED = (1040, 1203, 1290, 1836)
# Long enough for the other transaction to end, short enough for a request that waits.
_FIRST_PAUSE_SECONDS = 0.02


def is_conflict(error: BaseException) -> bool:
    """Whether the work lost against another transaction (deadlock, lock wait timeout, busy file)."""
    if not isinstance(error, DBAPIError) or error.orig is None:
        return False
    if isinstance(error.orig, sqlite3.OperationalError):
        return error.orig.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return error_code(error.orig) in (_DEADLOCK, _LOCK_WAIT_TIMEOUT)


def has_waited_too_long(error: BaseException) -> bool:
    """Whether a statement gave up waiting for another transaction: for a row, or for SQLite's file."""
    return is_conflict(error) and error_code(getattr(error, "orig", error)) != _DEADLOCK


def is_connection_lost(error: BaseException) -> bool:
    """Whether the connection ended under a statement, so that the open transaction is gone."""
    return isinstance(error, DBAPIError) and error.orig is not None and is_gone(error.orig)


def is_refused(error: BaseException) -> bool:
    """Whether the database is there and takes no work at the moment: no connection left, read-only, or no file."""
    if not isinstance(error, DBAPIError) or error.orig is None:
        return False
    if isinstance(error.orig, sqlite3.OperationalError):
        return error.orig.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CANTOPEN
    return error_code(error.orig) in _REFUSED


def run_write(database: Database, work: Callable[[WriteSession], T], *, attempts: int = 3) -> T:
    """Run `work` in a write session and give back its result; run it again where that is safe.

    `work` commits by itself, once, at its end, and has no effects outside the session. It is repeated, up to
    `attempts` times in all and with a jittered pause, after a deadlock, a lock wait timeout, a busy SQLite file or a
    lost connection. Never after a commit, and not where the connection was lost during COMMIT: nobody knows then
    whether it counted. The last error is raised as it is.
    """
    for attempt in range(1, attempts):
        with database.write() as session:
            try:
                return work(session)
            except DBAPIError as error:
                if not _may_repeat(session, error):
                    raise
        _pause(attempt)
    with database.write() as session:
        return work(session)


def run_statement(database: Database, work: Callable[[Connection], T], *, attempts: int = 3) -> T:
    """Run `work`, which writes by one statement at most, without a transaction around it, and give back its result.

    It is repeated as by `run_write`, and after any lost connection, too, when nobody knows whether the statement was
    done. So it has to be one that recognises what it did before. The last error does not mean that it was not done.
    """
    for attempt in range(1, attempts):
        try:
            with database.statement_engine.connect() as connection:
                return work(connection)
        except DBAPIError as error:
            if not (is_conflict(error) or is_connection_lost(error)):
                raise
        _pause(attempt)
    with database.statement_engine.connect() as connection:
        return work(connection)


def _pause(attempt: int) -> None:
    time.sleep(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))  # noqa: S311 # a pause, no secret


def _may_repeat(session: WriteSession, error: DBAPIError) -> bool:
    if session.committed:
        return False
    return is_conflict(error) or (is_connection_lost(error) and not session.commit_sent)
