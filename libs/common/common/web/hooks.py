"""What happens around every request: its ids, the headers of its answer, and its one line in the log."""

from time import perf_counter

import structlog
from flask import Flask, Response, abort, request

from common.web.context import begin_request_context, current_request_context

# A method is a label of the metrics, and a client may send any word: these are the ones we have a use for.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Answers are data, never pages: nothing in them is run, framed or guessed at, and no cache keeps them unasked.
_SECURITY_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("Strict-Transport-Security", "max-age=31536000"),
    ("Cache-Control", "no-store"),
)
_QUIET_PATHS = frozenset({"/livez", "/readyz"})  # asked every few seconds by every kubelet and balancer


def install_request_hooks(app: Flask) -> None:
    """Give each request its ids, each answer its headers, and log one line for it."""
    app.before_request(_begin)
    app.after_request(_finish)
    app.teardown_request(_forget)


def _begin() -> None:
    context = begin_request_context()
    structlog.contextvars.clear_contextvars()  # threads are reused, and so would be their fields
    structlog.contextvars.bind_contextvars(request_id=context.request_id, trace_id=context.trace_id)
    if request.method not in _METHODS:
        request.prom_do_not_track = True  # type: ignore[attr-defined] # read by prometheus-flask-exporter
        abort(501)


def _finish(response: Response) -> Response:
    context = current_request_context()
    headers = response.headers
    headers["X-Request-ID"] = context.request_id
    for name, value in _SECURITY_HEADERS:
        if name not in headers:
            headers[name] = value
    if request.path not in _QUIET_PATHS:
        rule = request.url_rule
        structlog.get_logger().info(
            "request",
            method=request.method,
            route=None if rule is None else rule.rule,
            path=request.path,
            status=response.status_code,
            duration_ms=round((perf_counter() - context.started) * 1000, 2),
            client=request.remote_addr,
        )
    return response


def _forget(_error: BaseException | None) -> None:
    structlog.contextvars.clear_contextvars()
