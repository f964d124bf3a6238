"""The service as it is served: a real gunicorn, keys from a real address, answers that reach a client mid-upload."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from common.db import migrate
from common.ids import new_id
from common.jwt import SigningKey, jwks_document
from common.testing.tokens import TEST_ISSUER, TokenFor

pytestmark = pytest.mark.slow
MAX_BYTES = 8 * 1024 * 1024


@pytest.fixture(scope="module")
def jwks_url(signing_key: SigningKey) -> Iterator[str]:
    document = json.dumps(jwks_document([signing_key])).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(document)))
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/jwks.json"
        server.shutdown()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, jwks_url: str, free_port: Callable[[], int]) -> Iterator[int]:
    """The port of a service that is ready."""
    folder = tmp_path_factory.mktemp("served")
    url, port = f"sqlite:///{folder}/api.db", free_port()
    migrate(url, "api_service")
    variables = {
        "PATH": os.environ["PATH"],
        "APP_ENV": "testing",
        "PORT": str(port),
        "METRICS_PORT": str(free_port()),
        "DATABASE_URL": url,
        "AUTH_ISSUER": TEST_ISSUER,
        "AUTH_JWKS_URL": jwks_url,
        "IMPORT_MAX_BYTES": str(MAX_BYTES),
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "python:common.gunicorn_conf", "api_service.wsgi:app"]
    log = folder / "log"
    with log.open("wb") as output, subprocess.Popen(command, env=variables, stdout=output, stderr=output) as process:
        try:
            wait_until_ready(port, process, log)
            yield port
        finally:
            process.terminate()
            assert process.wait(20) == 0, log.read_text()


def wait_until_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
                connection.request("GET", "/readyz")
                assert connection.getresponse().status == 200
                return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)


def send(port: int, token: str, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, path, body, {"Authorization": f"Bearer {token}", **headers})
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def upload(port: int, token: str, data: bytes, *, chunked: bool) -> tuple[int, dict[str, Any]]:
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n' + data + b"\r\n--x--\r\n"
    pieces = (body[start : start + 50_000] for start in range(0, len(body), 50_000)) if chunked else body
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    return send(port, token, "POST", "/api/v1/contacts/imports", pieces, **headers)


def test_a_token_signed_with_the_published_key_gets_in_and_others_do_not(port: int, token_for: TokenFor) -> None:
    assert send(port, token_for(new_id()), "GET", "/api/v1/contacts") == (200, {"items": [], "next_cursor": None})
    assert send(port, "no.such.token", "GET", "/api/v1/contacts")[0] == 401


@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_of_the_largest_size_is_accepted(port: int, token_for: TokenFor, chunked: bool) -> None:
    status, job = upload(port, token_for(new_id()), b"name\n" + b"x" * (MAX_BYTES - 5), chunked=chunked)
    assert (status, job["state"]) == (202, "queued")


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("data", "token", "status", "code"),
    [
        (b"\xff" * MAX_BYTES, None, 422, "not-utf8"),
        (b"name\n" + b"x\n" * MAX_BYTES, None, 413, "import-too-large"),
        (b"name\n" + b"x\n" * (MAX_BYTES // 2 - 10), "no.such.token", 401, "invalid-token"),
    ],
)
def test_a_client_that_sends_everything_first_still_gets_to_read_the_refusal(
    port: int, token_for: TokenFor, *, chunked: bool, data: bytes, token: str | None, status: int, code: str
) -> None:
    answer = upload(port, token or token_for(new_id()), data, chunked=chunked)
    assert (answer[0], answer[1]["code"]) == (status, code)
