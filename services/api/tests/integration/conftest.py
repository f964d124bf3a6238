"""The service as it is served: a real gunicorn, with keys from a real address."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from common.db import migrate
from common.jwt import SigningKey, jwks_document
from common.testing.tokens import TEST_ISSUER


@dataclass(frozen=True)
class Served:
    """A service that is ready."""

    port: int
    database_url: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self, seconds: float = 20) -> None:
        """Ask it to end and wait until it has; raises TimeoutExpired."""
        self.process.terminate()
        assert self.process.wait(seconds) == 0, self.log.read_text()


Serve = Callable[..., AbstractContextManager[Served]]
"""`serve(folder, NAME=value)` starts the service with its files in the folder, and ends it with the block.

`wsgi` names another application than the service's own, `DATABASE_URL` another database than a file in the folder.
"""


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def serve(jwks_url: str, free_port: Callable[[], int]) -> Serve:
    @contextmanager
    def serve(folder: Path, *, wsgi: str = "api_service.wsgi:app", **variables: str) -> Iterator[Served]:
        url, port, log = f"sqlite:///{folder}/api.db", free_port(), folder / "log"
        migrate(url, "api_service")
        own = {
            "PATH": os.environ["PATH"],
            "APP_ENV": "testing",
            "PORT": str(port),
            "METRICS_PORT": str(free_port()),
            "DATABASE_URL": url,
            "AUTH_ISSUER": TEST_ISSUER,
            "AUTH_JWKS_URL": jwks_url,
        }
        command = [sys.executable, "-m", "gunicorn", "-c", "python:common.gunicorn_conf", wsgi]
        with (
            log.open("wb") as output,
            subprocess.Popen(command, env=own | variables, stdout=output, stderr=output) as process,
        ):
            served = Served(port, url, process, log)
            try:
                wait_until_ready(served)
                yield served
            finally:
                served.stop()

    return serve


def wait_until_ready(served: Served) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with closing(HTTPConnection("127.0.0.1", served.port, timeout=5)) as connection:
                connection.request("GET", "/readyz")
                assert connection.getresponse().status == 200
                return
        except OSError:
            assert served.process.poll() is None, served.log.read_text()
            assert time.monotonic() < deadline, served.log.read_text()
            time.sleep(0.1)
