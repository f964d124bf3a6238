"""Connections that stay open, one to each process of a service: processes know different things at a time."""

import http.client
import time
from urllib.parse import urlsplit

import psutil

from devtools.live import Unexpected, expect
from devtools.tour.http import Request, Response, send_over

FORK_SECONDS = 30  # a service is ready with its first process; the others may not be there yet
ATTEMPTS = 400  # whoever is free accepts, which may be the same process many times in a row


class Connection:
    """A connection to a service, kept open and so with one of its processes; opened again after a failure."""

    def __init__(self, url: str, timeout_seconds: float = 30) -> None:
        address = urlsplit(url)
        self.url = url
        self._http = http.client.HTTPConnection(address.hostname or "", address.port, timeout=timeout_seconds)

    def send(self, request: Request) -> Response:
        """Make the call. Raises OSError when nobody answers."""
        try:
            return send_over(self._http, request)
        except OSError:
            self._http.close()
            raise

    @property
    def local_port(self) -> int:
        """The port of this end."""
        port: int = self._http.sock.getsockname()[1]
        return port

    def close(self) -> None:
        """Let go of it."""
        self._http.close()


def connect_to_each(url: str, server_pid: int, count: int) -> list[Connection]:
    """Return a connection to each of the `count` workers of the gunicorn with this process id, which serves there."""
    workers = _wait_for_workers(server_pid, count)
    found: dict[int, Connection] = {}
    for _ in range(ATTEMPTS):
        connection = Connection(url)
        expect(200, connection.send(Request("GET", f"{url}/livez")))
        owner = next(pid for pid in workers if connection.local_port in _peers(pid))
        if found.setdefault(owner, connection) is not connection:
            connection.close()
        if len(found) == len(workers):
            return list(found.values())
    raise Unexpected(f"only {len(found)} of {len(workers)} processes accept connections at {url}")


def _wait_for_workers(server_pid: int, count: int) -> set[int]:
    deadline = time.monotonic() + FORK_SECONDS
    while len(workers := {child.pid for child in psutil.Process(server_pid).children()}) < count:
        if time.monotonic() > deadline:
            raise Unexpected(f"only {len(workers)} of {count} processes were started")
        time.sleep(0.05)
    return workers


def _peers(pid: int) -> set[int]:
    """The ports at the other end of what a process is connected to."""
    return {connection.raddr.port for connection in psutil.Process(pid).net_connections("tcp") if connection.raddr}
