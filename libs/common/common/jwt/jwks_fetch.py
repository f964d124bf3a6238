"""One conditional GET of a key set, within limits: a size, a time, no redirects, no proxies."""

import ssl
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import SplitResult, urlsplit

from common.jwt.jwks import MAX_DOCUMENT_BYTES

_READ_BYTES = 8192


class FetchError(Exception):
    """No usable answer came; the message says why."""


@dataclass(frozen=True)
class Fetched:
    """An answer; `document` is None when the server said that nothing changed (304)."""

    document: bytes | None
    etag: str | None


def check_url(url: str) -> SplitResult:
    """Return the parts of an http(s) URL with a host; raises ValueError for anything else."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not an http or https URL")
    return parts


def fetch_document(url: SplitResult, etag: str | None, timeout_seconds: float) -> Fetched:
    """Return the document, or news of no change if `etag` is still its tag; raises FetchError."""
    connection = _connect(url, timeout_seconds)
    try:
        connection.request("GET", _target(url), headers=_headers(etag))
        return _read_answer(connection.getresponse(), etag, time.monotonic() + timeout_seconds)
    except (OSError, HTTPException, ValueError) as error:
        raise FetchError(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()


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


def _read_answer(response: HTTPResponse, etag: str | None, deadline: float) -> Fetched:
    if response.status == 304 and etag:
        return Fetched(None, etag)
    if response.status != 200:  # a redirect too: the URL in the settings is the only place keys come from
        raise FetchError(f"status {response.status}")
    return Fetched(_read_body(response, deadline), response.headers.get("ETag"))


def _read_body(response: HTTPResponse, deadline: float) -> bytes:
    body = b""
    while piece := response.read1(_READ_BYTES):
        body += piece
        if len(body) > MAX_DOCUMENT_BYTES:
            raise FetchError(f"the document is larger than {MAX_DOCUMENT_BYTES} bytes")
        if time.monotonic() > deadline:  # the socket's own timeout starts again with each piece
            raise FetchError("the document came too slowly")
    return body
