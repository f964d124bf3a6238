"""Turns every failure into problem details (RFC 9457): one table from exception to status, one JSON shape."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from flask import Flask, Response, request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped] # ships no types
from werkzeug.exceptions import HTTPException, InternalServerError

from common.access import (
    AuthenticationRequired,
    InsufficientScope,
    InvalidRequest,
    InvalidToken,
    RevocationUnknown,
    ServiceRequired,
    UserRequired,
)
from common.errors import FieldError, FieldErrors
from common.idempotency.errors import IdempotencyKeyInUse, IdempotencyKeyInvalid, IdempotencyKeyReused
from common.web.context import current_trace_id
from common.web.reading import MalformedJSON, NotJSON

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:redprint:problem:"


@dataclass(frozen=True)
class Problem:
    """What clients see of one kind of failure: `code` is stable, kebab-case, and ends the problem's type."""

    status: int
    code: str
    title: str


COMMON_PROBLEMS: Mapping[type[Exception], Problem] = {
    ParseException: Problem(400, "bad-request", "Bad Request"),  # a chunk that is none, seen while reading the body
    MalformedJSON: Problem(400, "malformed-json", "Malformed JSON"),
    NotJSON: Problem(415, "unsupported-media-type", "Unsupported Media Type"),
    FieldErrors: Problem(422, "validation-failed", "Validation failed"),
    AuthenticationRequired: Problem(401, "authentication-required", "Authentication required"),
    InvalidToken: Problem(401, "invalid-token", "Invalid token"),
    InvalidRequest: Problem(400, "invalid-request", "Invalid request"),
    InsufficientScope: Problem(403, "insufficient-scope", "Insufficient scope"),
    UserRequired: Problem(403, "user-required", "User required"),
    ServiceRequired: Problem(403, "service-required", "Service required"),
    RevocationUnknown: Problem(503, "unavailable", "Unavailable"),
    IdempotencyKeyInvalid: Problem(400, "invalid-idempotency-key", "Invalid Idempotency-Key"),
    IdempotencyKeyReused: Problem(422, "idempotency-key-reused", "Idempotency-Key reused"),
    IdempotencyKeyInUse: Problem(409, "idempotency-key-in-use", "Idempotency-Key in use"),
}

# Phrases of RFC 9110, which renamed some; http.HTTPStatus has followed with Python 3.13 only.
_RENAMED = {413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}
# Said where nobody gave a text of their own; other statuses keep Werkzeug's.
_DETAILS = {
    400: "The request is not one this service understands, or its body ended too early.",
    404: "There is nothing at this address.",
    405: "This address does not take that method; Allow lists those it takes.",
    500: "Something went wrong on our side. It has been logged under the trace id.",
}

log = structlog.get_logger(__name__)


def install_problems(app: Flask, table: Mapping[type[Exception], Problem]) -> None:
    """Answer the exceptions of `table`, HTTP errors of every status, and anything unforeseen with problem details.

    An exception's text becomes `detail`. Its attributes do the rest where it has them: `errors` (FieldError
    entries), `retry_after_seconds` (Retry-After), `challenge` (WWW-Authenticate).
    """
    for exception, problem in table.items():
        app.register_error_handler(exception, _handler_for(problem))
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(InternalServerError, _answer_unforeseen)
    app.log_exception = _log_unforeseen  # type: ignore[method-assign] # Flask's own puts the path into the event's name


def problem_response(
    problem: Problem,
    detail: str,
    *,
    errors: list[FieldError] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the response of one failure. A 401 without a challenge gets the bare one (RFC 9110 section 15.5.2)."""
    body = problem_members(problem, detail, request.path, current_trace_id())
    if errors is not None:
        body["errors"] = [asdict(error) for error in errors]
    response = Response(orjson.dumps(body), problem.status, content_type=CONTENT_TYPE)
    response.headers.update(headers or {})
    if problem.status == 401:
        response.headers.setdefault("WWW-Authenticate", str(AuthenticationRequired.challenge))
    return response


def problem_members(problem: Problem, detail: str, instance: str, trace_id: str) -> dict[str, Any]:
    """Return the members every problem has; `instance` is the path asked for, empty where none could be read."""
    return {
        "type": TYPE_PREFIX + problem.code,
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        "instance": instance,
        "code": problem.code,
        "trace_id": trace_id,
    }


def http_problem(status: int) -> Problem:
    """Return the problem that says no more than the HTTP status, under its RFC 9110 name."""
    title = _RENAMED.get(status) or HTTPStatus(status).phrase
    return Problem(status, re.sub(r"[^a-z0-9]+", "-", title.lower()), title)


def _handler_for(problem: Problem) -> Callable[[Exception], Response]:
    def answer(error: Exception) -> Response:
        return problem_response(
            problem, str(error) or problem.title, errors=getattr(error, "errors", None), headers=_headers_of(error)
        )

    return answer


def _headers_of(error: Exception) -> dict[str, str]:
    headers = {}
    if (seconds := getattr(error, "retry_after_seconds", None)) is not None:
        headers["Retry-After"] = str(math.ceil(seconds))
    if (challenge := getattr(error, "challenge", None)) is not None:
        headers["WWW-Authenticate"] = challenge
    return headers


def _answer_http_error(error: HTTPException) -> Response:
    """Keep what Werkzeug knows beside the body: Allow of a 405, Retry-After of a 503.

    Redirects and aborted responses do not come here; Flask sends those as they are.
    """
    status = error.code or 500
    headers = {name: value for name, value in error.get_headers(request.environ) if name.lower() != "content-type"}
    return problem_response(http_problem(status), _detail_of(error, status), headers=headers)


def _detail_of(error: HTTPException, status: int) -> str:
    has_own_text = error.description != type(error).description
    if status == 413 and not has_own_text and (limit := request.max_content_length):
        return f"The body is larger than the {limit} bytes this address takes."
    return str((not has_own_text and _DETAILS.get(status)) or error.description or http_problem(status).title)


def _answer_unforeseen(_error: InternalServerError) -> Response:
    """Tell the client nothing of the cause: its text may hold anything."""
    return problem_response(http_problem(500), _DETAILS[500])


def _log_unforeseen(exc_info: Any) -> None:
    log.error("unhandled_exception", exc_info=exc_info)
