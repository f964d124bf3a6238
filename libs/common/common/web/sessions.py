"""The database sessions of a request: opened when first asked for, closed and rolled back at its end."""

from typing import TYPE_CHECKING

import structlog
from flask import Flask, current_app, g
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

if TYPE_CHECKING:
    from common.db.database import Database

_OPEN = "database_sessions"

log = structlog.get_logger(__name__)


def install_sessions(app: Flask, database: "Database") -> None:
    """Give the requests of an application their sessions on `database`."""
    app.extensions["database"] = database
    app.teardown_appcontext(_close_sessions)


def current_database() -> "Database":
    """Return the database of the application. Raises KeyError where create_app was given none."""
    database: Database = current_app.extensions["database"]
    return database


def write_session() -> Session:
    """Return this request's session for one transaction; what the use case does not commit is rolled back."""
    return _session(read_only=False)


def read_session() -> Session:
    """Return this request's session for reading: each statement stands alone, and writes are refused."""
    return _session(read_only=True)


def _session(*, read_only: bool) -> Session:
    sessions: dict[bool, Session] = g.setdefault(_OPEN, {})
    session = sessions.get(read_only)
    if session is None:
        session = sessions[read_only] = current_database().new_session(read_only=read_only)
    return session


def _close_sessions(_error: BaseException | None) -> None:
    sessions: dict[bool, Session] = g.get(_OPEN, {})
    for session in sessions.values():
        try:
            session.close()
        except SQLAlchemyError:
            # The connection was lost before it could roll back, so the server has done that. The answer is made
            # already; what is raised from here would replace it by the web server's own 500.
            log.warning("session_close_failed", exc_info=True)
