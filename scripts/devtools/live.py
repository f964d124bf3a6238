"""A whole running product for tests and measurements: real processes whose parts can be killed and started again."""

import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

from devtools.paths import ROOT
from devtools.ports import free_port
from devtools.processes import end, is_alive, kill_tree, marked
from devtools.run.settings import Ports
from devtools.run.stack import Service, Stack
from devtools.tour.http import Request, Response, send, wait_for
from devtools.tour.steps import new_account

# Short, so that a test need not wait half a minute until a dead worker is noticed.
TIMES = {"APP_ENV": "development", "JOB_LEASE_SECONDS": "4", "DISPATCHER_REDISPATCH_SECONDS": "3"}
PIECE_BYTES = 64 * 1024


class Unexpected(AssertionError):
    """The product did not do what it promises; the message shows what it did."""


def pick_ports() -> Ports:
    """Return ports nobody has."""
    chosen: set[int] = set()
    while len(chosen) < len(Ports().by_variable()):
        chosen.add(free_port())
    return Ports(*chosen)


def write_contacts(file: Path, rows: int) -> Path:
    """Write a CSV of so many contacts, each with a key of its own, and return its path."""
    with file.open("w", encoding="utf-8") as out:
        out.write("external_id,name,email\n")
        out.writelines(f"K-{number:07},Zoë Müller {number},zoe.{number}@example.com\n" for number in range(rows))
    return file


class Client:
    """A person with an account, and the calls these tests need."""

    def __init__(self, auth_url: str, api_url: str) -> None:
        account = new_account(auth_url)
        body = {"email": account.email, "password": account.password}
        expect(202, send(Request("POST", f"{auth_url}/api/v1/auth/register", body=body)))
        self._login = account.login()
        self.api_url = api_url
        self.token = self.log_in()

    def log_in(self) -> str:
        """Return a new access token."""
        return str(expect(200, send(self._login)).json()["access_token"])

    def get(self, path: str) -> Response:
        """Return the answer of the api to that path."""
        return send(Request("GET", f"{self.api_url}{path}", token=self.token))

    def import_file(self, file: Path) -> str:
        """Upload the file and return the job's path."""
        request = Request("POST", f"{self.api_url}/api/v1/contacts/imports", token=self.token, upload={"file": file})
        return expect(202, send(request)).headers["location"]

    def export(self, file_format: str = "csv") -> str:
        """Ask for a file of all contacts and return the job's path."""
        body = {"format": file_format}
        request = Request("POST", f"{self.api_url}/api/v1/contacts/exports", token=self.token, body=body)
        return expect(202, send(request)).headers["location"]

    def count_lines(self, path: str) -> int:
        """Download what is there, a piece at a time, and return how many lines it has."""
        address = urlsplit(self.api_url)
        with closing(HTTPConnection(address.hostname or "", address.port, timeout=60)) as connection:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
            answer = connection.getresponse()
            if answer.status != 200:
                raise Unexpected(f"{answer.status} instead of a file")
            return sum(piece.count(b"\n") for piece in iter(lambda: answer.read(PIECE_BYTES), b""))

    def job(self, path: str) -> dict[str, Any]:
        """Return the job as the api shows it."""
        found: dict[str, Any] = expect(200, self.get(path)).json()
        return found

    def wait_for_job(
        self, path: str, condition: Callable[[dict[str, Any]], bool], timeout_seconds: float, pause_seconds: float
    ) -> dict[str, Any]:
        """Return the job as soon as it fulfils the condition; fail with its last state when the time is over."""
        deadline = time.monotonic() + timeout_seconds
        while not condition(job := self.job(path)):
            if time.monotonic() > deadline:
                raise Unexpected(f"not within {timeout_seconds} s: {job}")
            time.sleep(pause_seconds)
        return job

    def wait_until_midway(self, path: str) -> dict[str, Any]:
        """Return the job once it has done a third of its work, and most of the rest is left."""
        job = self.wait_for_job(path, lambda job: is_midway(job) or has_ended(job), 60, 0.01)
        if not is_midway(job):
            raise Unexpected(f"too late, it has ended: {job}")
        return job

    def wait_for_success(self, path: str, timeout_seconds: float = 100) -> dict[str, Any]:
        """Return the job once it has succeeded; any other end fails."""
        job = self.wait_for_job(path, has_ended, timeout_seconds, 0.1)
        if job["state"] != "succeeded":
            raise Unexpected(f"not succeeded: {job}")
        return job


def expect(status: int, response: Response) -> Response:
    """Return the response if it has this status; raise Unexpected with what it says if not."""
    if response.status != status:
        raise Unexpected(f"{response.status} instead of {status}: {response.content.decode(errors='replace')}")
    return response


def has_ended(job: dict[str, Any]) -> bool:
    """Whether nothing will happen to the job any more."""
    return job["state"] not in {"queued", "running"}


def is_midway(job: dict[str, Any]) -> bool:
    """Whether the job runs and is between a third and the end of its work."""
    if job["state"] != "running" or not job["progress"]:
        return False
    done, total = int(job["progress"]["done"]), int(job["progress"]["total"] or 0)
    return total / 3 <= done < total


class LiveStack:
    """A stack of running services whose parts can be killed and started again."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, service: Service) -> None:
        """Start one service; its output goes to a file of its name."""
        with (self.stack.folder / "logs" / f"{service.name}.log").open("ab") as log:
            self._processes[service.name] = subprocess.Popen(
                service.command, cwd=ROOT, env=service.env, stdout=log, stderr=log, start_new_session=True
            )

    def start_all(self) -> None:
        """Start everything and wait until it answers."""
        for service in self.stack.services():
            self.start(service)
        self.wait_until_ready()

    def start_web(self) -> None:
        """Start auth and api alone and wait until they answer."""
        self.start(self.stack.auth())
        self.start(self.stack.api())
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until auth and api say that they are ready."""
        for url in (self.stack.auth_url, self.stack.api_url):
            if not wait_for(f"{url}/readyz", 60, Event()):
                raise Unexpected(f"{url} is not ready: {self.log('auth')}{self.log('api')}")

    def kill(self, name: str) -> None:
        """Kill a service and all its children with SIGKILL."""
        process = self._processes.pop(name)
        if not is_alive(process.pid):
            raise Unexpected(f"{name} had ended by itself: {self.log(name)}")
        kill_tree(process.pid)
        process.wait()

    def pid(self, name: str) -> int:
        """Return the process id of a running service."""
        return self._processes[name].pid

    def end(self) -> None:
        """End everything that is left."""
        end(marked(self.stack.folder), grace_seconds=0)
        for process in self._processes.values():
            process.wait()

    def log(self, name: str) -> str:
        """Return the end of a service's output."""
        file = self.stack.folder / "logs" / f"{name}.log"
        return file.read_text()[-5000:] if file.exists() else ""
