"""A tiny service and a real gunicorn around it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil
import pytest

APP = """
import os, sys, threading, time
from pathlib import Path
from common.access import public, user
from common.config import load_settings_or_exit
from common.redprint import Redprint
from common.web.app import create_app
from common.web.lifecycle import on_worker_start, on_worker_stop
from common.web.shapes import Shape, View
from flask import Blueprint
from tiny.config import TinySettings

items = Redprint("items")
notes = Path(os.environ["NOTES"])

class ItemIn(Shape):
    name: str

class Item(View):
    name: str
    pid: int

@items.get("/<name>", access=public, response=Item)
def show_item(name: str) -> Item:
    return Item(name=name, pid=os.getpid())

@items.get("/mine", access=user)
def show_mine() -> None:
    pass

@items.post("", access=public, body=ItemIn, response=Item)
def add_item(body: ItemIn) -> Item:
    return Item(name=body.name, pid=os.getpid())

@items.get("/slow", access=public, response=Item)
def show_slow() -> Item:
    note("slow")
    time.sleep(1.5)
    return Item(name="slow", pid=os.getpid())

def note(event: str) -> None:
    with notes.open("a") as file:
        file.write(f"{event} {os.getpid()}\\n")

blueprint = Blueprint("v1", __name__, url_prefix="/api/v1")
items.register(blueprint)
assert threading.active_count() == 1
app = create_app(__name__, load_settings_or_exit(TinySettings), blueprints=[blueprint], problems={})
on_worker_start(app, lambda: note("start"))
on_worker_stop(app, lambda: note("stop"))
note("loaded")
"""

CONFIG = """
from common.config import WebSettings
from pydantic import Field

class TinySettings(WebSettings):
    service_name: str = "tiny"
    colour: str = "red"
    shade: int = Field(default=1, ge=1)
"""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


def finish(connection: HTTPConnection) -> Answer:
    """Read the answer and close the connection."""
    with closing(connection), closing(connection.getresponse()) as response:
        return Answer(response.status, response.read())


@dataclass
class Server:
    """A gunicorn that was started; what it wrote is in `log`."""

    process: subprocess.Popen[bytes]
    port: int
    metrics_port: int
    log: Path
    notes: Path

    def open(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=10)

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        connection = self.open()
        connection.request(method, path, body, **options)
        return finish(connection)

    def metrics(self) -> str:
        connection = HTTPConnection("127.0.0.1", self.metrics_port, timeout=10)
        connection.request("GET", "/metrics")
        return finish(connection).body.decode()

    def noted(self, event: str) -> list[int]:
        """The processes in which an event happened."""
        found = [line.split() for line in self.notes.read_text().splitlines()] if self.notes.exists() else []
        return [int(pid) for name, pid in found if name == event]

    def wait_for(self, condition: Callable[[], object], seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@pytest.fixture
def launch(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Callable[..., Server]]:
    """Starts gunicorn with the tiny service; what is still there at the end is killed."""
    package = tmp_path / "tiny"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "config.py").write_text(CONFIG)
    (package / "wsgi.py").write_text(APP)
    (tmp_path / "tmp").mkdir()
    servers: list[Server] = []

    def start(app: str = "tiny.wsgi:app", **env: str) -> Server:
        log = tmp_path / f"log{len(servers)}"
        port, metrics_port = free_port(), free_port()
        variables = {
            "PATH": os.environ["PATH"],
            "TMPDIR": str(tmp_path / "tmp"),
            "NOTES": str(tmp_path / f"notes{len(servers)}"),
            "APP_ENV": "testing",
            "LOG_LEVEL": "info",
            "PORT": str(port),
            "METRICS_PORT": str(metrics_port),
            **env,
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "-c", "python:common.gunicorn_conf", app],
                cwd=tmp_path,
                env={name: value for name, value in variables.items() if value},
                stdout=output,
                stderr=output,
            )
        metrics_port = int(variables["METRICS_PORT"] or 0)
        servers.append(Server(process, port, metrics_port, log, Path(variables["NOTES"])))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            for child in server.children():
                child.kill()
            server.process.kill()
            server.process.wait()


@pytest.fixture
def serve(launch: Callable[..., Server]) -> Callable[..., Server]:
    """As `launch`, and waits until every worker is ready."""

    def start(**env: str) -> Server:
        server = launch(**env)
        workers = int(env.get("WEB_WORKERS", "1"))
        server.wait_for(lambda: server.process.poll() is not None or len(server.noted("start")) == workers)
        assert server.process.poll() is None, server.log.read_text()
        return server

    return start
