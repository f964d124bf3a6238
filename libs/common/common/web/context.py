"""The identity of the request at hand: its own id, and its place in a trace (W3C Trace Context)."""

import re
from dataclasses import dataclass
from time import perf_counter

from flask import g, request

from common.ids import new_id

# Anything else a client sends could forge log lines or grow them.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Version 00 has exactly these four fields; a later version may append some after a hyphen.
_TRACEPARENT = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-(?P<flags>[0-9a-f]{2})(?P<rest>-.*)?"
)


@dataclass(frozen=True, slots=True)
class RequestContext:
    """`trace_id` is 32 hexadecimal digits, `flags` two; `started` is a reading of `time.perf_counter`."""

    request_id: str
    trace_id: str
    flags: str
    started: float


def begin_request_context() -> RequestContext:
    """Take the ids the client sent where they are well-formed, make them where not, and keep them in `flask.g`."""
    trace_id, flags = _read_traceparent(request.environ.get("HTTP_TRACEPARENT"))
    context = RequestContext(_read_request_id() or trace_id, trace_id, flags, perf_counter())
    g.request_context = context
    return context


def current_request_context() -> RequestContext:
    """Return the context of this request."""
    context: RequestContext | None = g.get("request_context")
    return context or begin_request_context()


def current_trace_id() -> str:
    """Return the 32 hexadecimal digits under which everything this request caused is logged."""
    return current_request_context().trace_id


def current_traceparent() -> str:
    """Return the `traceparent` to hand on to a job or another service, with a new parent id."""
    context = current_request_context()
    return f"00-{context.trace_id}-{new_id().hex[16:]}-{context.flags}"


def _read_request_id() -> str | None:
    sent: str = request.environ.get("HTTP_X_REQUEST_ID", "")
    return sent if _REQUEST_ID.fullmatch(sent) else None


def _read_traceparent(sent: str | None) -> tuple[str, str]:
    match = _TRACEPARENT.fullmatch(sent) if sent else None
    if match is None or (match["version"] == "00" and match["rest"]):
        return new_id().hex, "00"
    return match["trace"], match["flags"]
