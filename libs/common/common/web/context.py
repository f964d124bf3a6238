"""The identity of the request at hand: its own id, and its place in a trace (W3C Trace Context)."""

import re
from dataclasses import dataclass
from time import perf_counter
from typing import IO, TYPE_CHECKING, cast

from flask import Request, request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest
from werkzeug.local import LocalProxy
from werkzeug.utils import cached_property
from werkzeug.wsgi import LimitedStream

from common.ids import new_id

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_KEY = "redprint.context"
# Anything else a client sends could forge log lines or grow them.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-(?P<flags>[0-9a-f]{2})"
    r"(?P<rest>-.*)?"  # of a later version; version 00 has exactly these four fields
)


@dataclass(frozen=True, slots=True)
class RequestContext:
    """`trace_id` is 32 hexadecimal digits, `flags` two; `started` is a reading of `time.perf_counter`."""

    request_id: str
    trace_id: str
    flags: str
    started: float


class ServiceRequest(Request):
    """Flask's request, which takes a body that broke off for a whole one, and fails on a query that is not UTF-8."""

    @cached_property
    def stream(self) -> IO[bytes]:
        """The body. Raises RequestEntityTooLarge, and ClientDisconnected where less comes than was declared.

        gunicorn says it ends the body itself, and then Werkzeug does not count: a connection that broke off would
        be the end of the body.
        """
        body, length = super().stream, self.content_length
        return body if length is None else cast("IO[bytes]", LimitedStream(body, length))

    @cached_property
    def args(self) -> MultiDict[str, str]:
        """The parameters of the query. Raises BadRequest."""
        try:
            return super().args
        except UnicodeDecodeError:
            raise BadRequest("The query is not percent-encoded UTF-8.") from None


def this_request() -> Request:
    """Return the request itself: `flask.request` looks it up again at every attribute, half a microsecond each."""
    return cast("LocalProxy[Request]", request)._get_current_object()  # noqa: SLF001 - Werkzeug documents it


def begin_request_context(environ: "WSGIEnvironment") -> RequestContext:
    """Take the ids the client sent where they are well-formed, make them where not, and keep them in `environ`."""
    trace_id, flags = _read_traceparent(environ.get("HTTP_TRACEPARENT"))
    context = RequestContext(_read_request_id(environ) or trace_id, trace_id, flags, perf_counter())
    environ[_KEY] = context
    return context


def current_request_context() -> RequestContext:
    """Return the context of this request."""
    environ = request.environ
    context: RequestContext | None = environ.get(_KEY)
    return context or begin_request_context(environ)


def current_trace_id() -> str:
    """Return the 32 hexadecimal digits under which everything this request caused is logged."""
    return current_request_context().trace_id


def current_traceparent() -> str:
    """Return the `traceparent` to hand on to a job or another service, with a new parent id."""
    context = current_request_context()
    return f"00-{context.trace_id}-{new_id().hex[16:]}-{context.flags}"


def _read_request_id(environ: "WSGIEnvironment") -> str | None:
    sent: str | None = environ.get("HTTP_X_REQUEST_ID")
    return sent if sent and _REQUEST_ID.fullmatch(sent) else None


def _read_traceparent(sent: str | None) -> tuple[str, str]:
    match = _TRACEPARENT.fullmatch(sent) if sent else None
    if match is None or (match["version"] == "00" and match["rest"]):
        return new_id().hex, "00"
    return match["trace"], match["flags"]
