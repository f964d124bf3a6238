"""Answers for a database that cannot be reached or has no time: 503 and when to try again, not a bare 500."""

import structlog
from flask import Flask, Response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from common.db.retry import is_conflict, is_connection_lost, is_refused
from common.problems import Problem, problem_response

_UNAVAILABLE = Problem(503, "database-unavailable", "Database unavailable")
_DETAIL = "The database does not answer at the moment. Try again; a change may or may not have been made."
# Longer than a lock is waited for in a retry, shorter than a client's patience.
RETRY_AFTER_SECONDS = 2

log = structlog.get_logger(__name__)


def install_outages(app: Flask) -> None:
    """Answer 503 with Retry-After where the database failed the request; faults of ours stay 500."""
    app.register_error_handler(DBAPIError, _answer_database_error)
    app.register_error_handler(PoolTimeoutError, _answer_outage)


def _answer_database_error(error: DBAPIError) -> Response:
    if not (is_conflict(error) or is_connection_lost(error) or is_refused(error)):
        raise error
    return _answer_outage(error)


def _answer_outage(error: DBAPIError | PoolTimeoutError) -> Response:
    cause = getattr(error, "orig", None) or error
    log.warning("database_unavailable", error_class=type(cause).__name__, error=str(cause))
    return problem_response(_UNAVAILABLE, _DETAIL, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
