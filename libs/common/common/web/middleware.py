"""What happens around every request: its ids, the headers of its answer, and its one line in the log.

A WSGI middleware and not Flask's hooks: it costs a third of them, and nothing that fails inside Flask escapes it.
"""

from time import perf_counter
from typing import TYPE_CHECKING, Any

import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars

from common.web.context import RequestContext, begin_request_context

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from flask import Request

# Answers are data, never pages: nothing in them is run, framed or guessed at, and no cache keeps them unasked.
SECURITY_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("Strict-Transport-Security", "max-age=31536000"),
    ("Cache-Control", "no-store"),
)
QUIET_PATHS = frozenset({"/livez", "/readyz"})  # asked every few seconds by every kubelet and balancer


class RequestMiddleware:
    """Gives each request its ids, each answer its headers, and logs one line when the answer begins."""

    def __init__(self, application: "WSGIApplication") -> None:
        self._application = application
        # Bound once: unbound, a logger is put together anew for each line, which costs as much as a third of the line.
        self._log = structlog.get_logger().bind()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        context = begin_request_context(environ)
        clear_contextvars()  # threads are reused, and so would be their fields
        bind_contextvars(request_id=context.request_id, trace_id=context.trace_id)

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            _add_headers(headers, context)
            if environ["PATH_INFO"] not in QUIET_PATHS:
                self._log.info("request", **_describe(environ, context, status))
            return start_response(status, headers, exc_info)

        return self._application(environ, start)


def _add_headers(headers: list[tuple[str, str]], context: RequestContext) -> None:
    present = {name.lower() for name, _ in headers}
    headers.append(("X-Request-ID", context.request_id))
    headers += [header for header in SECURITY_HEADERS if header[0].lower() not in present]


def _describe(environ: "WSGIEnvironment", context: RequestContext, status: str) -> dict[str, Any]:
    """The query is left out: it may hold what people search for."""
    # Werkzeug keeps the request here until Flask is done with it, which at the start of the answer it is not.
    request: Request = environ["werkzeug.request"]
    rule = request.url_rule
    return {
        "method": request.method,
        "route": None if rule is None else rule.rule,
        "path": request.path,
        "status": int(status[:3]),
        "duration_ms": round((perf_counter() - context.started) * 1000, 2),
        "client": environ.get("REMOTE_ADDR"),
    }
