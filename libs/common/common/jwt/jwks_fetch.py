"""One conditional GET of a key set, within limits: a size, a time, no redirects, no proxies."""

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from threading import Event, Timer
from urllib.parse import SplitResult, urlsplit

from common.jwt.jwks import MAX_DOCUMENT_BYTES

_READ_BYTES = 8192
_URL = re.compile(r"https?://[\x21-\x7e]+")


class FetchError(Exception):
    """No usable answer came; the message says why."""


@dataclass(frozen=True)
class Fetched:
    """An answer; `document` is None when the server said that nothing changed (304)."""

    document: bytes | None
    etag: str | None


def check_url(url: str) -> SplitResult:
    """Return the parts of an http(s) URL with a host; raises ValueError for anything else."""
    try:
        parts = urlsplit(url)
        is_complete = bool(_URL.fullmatch(url) and parts.hostname) and parts.port != 0
    except ValueError:  # brackets without an address, a port that is no number
        is_complete = False
    if not is_complete:
        raise ValueError(f"{url!r} is not an http or https URL")
    return parts


def fetch_document(url: SplitResult, etag: str | None, timeout_seconds: float) -> Fetched:
    """Return the document, or news of no change if `etag` is still its tag; raises FetchError.

    `timeout_seconds` is for connecting, and once more for all that is sent and received then.
    """
    connection = _connect(url, timeout_seconds)
    try:
        connection.connect()
        with _hung_up_after(timeout_seconds, connection.sock):
            connection.request("GET", _target(url), headers=_headers(etag))
            return _read_answer(connection.getresponse(), etag)
    except (OSError, HTTPException, ValueError) as error:
        raise FetchError(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()


@contextmanager
def _hung_up_after(seconds: float, connected: socket.socket) -> Iterator[None]:
    """End what goes on over a socket, whose own timeout starts again with each byte; raises FetchError then.

    To the reader it is the end of the answer, which in the middle of the headers would be a short answer.
    """
    too_late = Event()

    def hang_up() -> None:
        too_late.set()
        with suppress(OSError):  # the other side may have done so meanwhile
            # Not the method of an SSLSocket, which would go on reading in the clear.
            socket.socket.shutdown(connected, socket.SHUT_RDWR)

    timer = Timer(seconds, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if too_late.is_set():
        raise FetchError("the answer came too slowly")


def _connect(url: SplitResult, timeout_seconds: float) -> HTTPConnection:
    host = url.hostname or ""
    if url.scheme == "https":
        return HTTPSConnection(host, url.port, timeout=timeout_seconds, context=ssl.create_default_context())
    return HTTPConnection(host, url.port, timeout=timeout_seconds)


def _target(url: SplitResult) -> str:
    path = url.path or "/"
    return f"{path}?{url.query}" if url.query else path


def _headers(etag: str | None) -> dict[str, str]:
    headers = {"Accept": "application/jwk-set+json, application/json"}
    return headers | {"If-None-Match": etag} if etag else headers


def _read_answer(response: HTTPResponse, etag: str | None) -> Fetched:
    if response.status == 304 and etag:
        return Fetched(None, etag)
    if response.status != 200:  # a redirect too: the URL in the settings is the only place keys come from
        raise FetchError(f"status {response.status}")
    return Fetched(_read_body(response), response.headers.get("ETag"))


def _read_body(response: HTTPResponse) -> bytes:
    body = b""
    while piece := response.read1(_READ_BYTES):
        body += piece
        if len(body) > MAX_DOCUMENT_BYTES:
            raise FetchError(f"the document is larger than {MAX_DOCUMENT_BYTES} bytes")
    return body
