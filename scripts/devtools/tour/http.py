"""HTTP calls that can be sent and can be shown as curl, from one description."""

import http.client
import json
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4


@dataclass(frozen=True)
class Request:
    """One call. `token` is a bearer token; `upload` maps form fields to files, `form` to texts."""

    method: str
    url: str
    body: Mapping[str, Any] | None = None
    token: str | None = None
    upload: Mapping[str, Path] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Response:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """Return the body as what its JSON says."""
        return json.loads(self.content)


def send(request: Request, timeout_seconds: float = 30) -> Response:
    """Make the call. Raises OSError when nobody answers."""
    address = urlsplit(request.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=timeout_seconds)
    try:
        return send_over(connection, request)
    finally:
        connection.close()


def send_over(connection: http.client.HTTPConnection, request: Request) -> Response:
    """Make the call over a connection, which stays open. Raises OSError when nobody answers."""
    address = urlsplit(request.url)
    target = address.path + (f"?{address.query}" if address.query else "")
    headers, body = _encode(request)
    try:
        connection.request(request.method, target, body, headers)
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Response(answer.status, names, answer.read())
    except http.client.HTTPException as error:
        raise ConnectionError(f"{request.url} answered no HTTP: {error!r}") from error


def curl(request: Request) -> str:
    """Return the same call for a shell; a token stands in it as $TOKEN."""
    parts = ["curl -sS"]
    if request.method != "GET" and not (request.method == "POST" and (request.body or request.upload)):
        parts.append(f"-X {request.method}")
    parts.append(shlex.quote(request.url))
    if request.token is not None:
        parts.append('-H "Authorization: Bearer $TOKEN"')
    if request.body is not None:
        parts.append("-H 'Content-Type: application/json'")
        parts.append(f"-d {shlex.quote(json.dumps(request.body, ensure_ascii=False))}")
    parts += [f"-F {shlex.quote(f'{name}=@{path}')}" for name, path in request.upload.items()]
    parts += [f"-F {shlex.quote(f'{name}={text}')}" for name, text in request.form.items()]
    return " ".join(parts)


def wait_for(url: str, timeout_seconds: float, gave_up: Event) -> bool:
    """Wait until that address answers 200; False when the time is over or `gave_up` is set."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline and not gave_up.is_set():
        try:
            if send(Request("GET", url), timeout_seconds=5).status == 200:
                return True
        except OSError:
            pass  # not listening yet
        gave_up.wait(0.05)
    return False


def _encode(request: Request) -> tuple[dict[str, str], bytes | None]:
    headers = {"Accept": "application/json", **request.headers}
    if request.token is not None:
        headers["Authorization"] = f"Bearer {request.token}"
    if request.body is not None:
        headers["Content-Type"] = "application/json"
        return headers, json.dumps(request.body).encode()
    if request.upload:
        boundary = uuid4().hex
        headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
        return headers, _multipart(request, boundary)
    return headers, None


def _multipart(request: Request, boundary: str) -> bytes:
    parts = [
        (f'form-data; name="{name}"; filename="{path.name}"\r\nContent-Type: text/csv', path.read_bytes())
        for name, path in request.upload.items()
    ]
    parts += [(f'form-data; name="{name}"', text.encode()) for name, text in request.form.items()]
    encoded = [
        f"--{boundary}\r\nContent-Disposition: {head}\r\n\r\n".encode() + content + b"\r\n" for head, content in parts
    ]
    return b"".join(encoded) + f"--{boundary}--\r\n".encode()
