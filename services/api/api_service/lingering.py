"""Reads what a client still sends after it has been answered, so that it gets to read the answer.

An upload is refused as soon as that is certain: no token, too long, unfit from its first bytes on. Many clients only
look for an answer once they have sent everything, and a connection closed before that is all they would see.
"""

from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from werkzeug.wsgi import ClosingIterator

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_READ_BYTES = 64 * 1024


class LingeringMiddleware:
    """Passes over the unread rest of a body once the answer is sent; beyond `max_bytes` the connection just ends."""

    def __init__(self, application: "WSGIApplication", *, max_bytes: int) -> None:
        self._application = application
        self._max_bytes = max_bytes

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        answer = self._application(environ, start_response)
        # Only a server that marks the end of the body lets it be read without knowing where that is.
        if environ["REQUEST_METHOD"] == "GET" or not environ.get("wsgi.input_terminated"):
            return answer
        return ClosingIterator(answer, [partial(self._pass_over, environ)])

    def _pass_over(self, environ: "WSGIEnvironment") -> None:
        left = self._max_bytes
        # The client may be gone, or send what is no body (each server has its own error for that): it has its answer.
        with suppress(Exception):
            while left > 0 and (data := environ["wsgi.input"].read(min(left, _READ_BYTES))):
                left -= len(data)
