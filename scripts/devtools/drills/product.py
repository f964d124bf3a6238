"""auth and api with two processes each, the Valkey between them, and auth's keys mounted as in a cluster."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
from common.testing.valkey import ValkeyServer

from devtools.drills.calls import Calls, Tokens
from devtools.drills.connections import Connection, connect_to_each
from devtools.drills.mounted_keys import MountedKeys
from devtools.live import LiveStack, expect, pick_ports
from devtools.run.prepare import make_folders
from devtools.run.stack import Stack
from devtools.tour.http import send
from devtools.tour.steps import Account, new_account

# Without a line for each request, so that the end of a log shows what went wrong.
VARIABLES = {"APP_ENV": "development", "WEB_WORKERS": "2", "LOG_LEVEL": "warning"}


@dataclass(frozen=True)
class Product:
    """What runs, and how to reach it."""

    live: LiveStack
    valkey: ValkeyServer
    keys: MountedKeys
    _connections: list[Connection] = field(default_factory=list)

    @classmethod
    def prepare(cls, folder: Path, valkey: ValkeyServer, auth_database: str, api_database: str) -> "Product":
        """Make what it needs to start."""
        make_folders(folder)
        ports = replace(pick_ports(), valkey_port=valkey.port)
        stack = Stack(folder, ports, auth_database, api_database, extra=VARIABLES)
        keys = MountedKeys(folder / "secret", stack.keys)
        keys.flask("init")
        keys.apply()
        return cls(LiveStack(stack), valkey, keys)

    @property
    def calls(self) -> Calls:
        """The calls to it."""
        return Calls(self.live.stack.auth_url, self.live.stack.api_url)

    @property
    def valkey_data(self) -> Path:
        """What Valkey keeps over a kill; without it the next start is an empty one."""
        return self.live.stack.folder.parent / "appendonlydir"

    @property
    def auth_metrics(self) -> str:
        """The address of auth's metrics."""
        return f"http://127.0.0.1:{self.live.stack.ports.auth_metrics_port}/metrics"

    @property
    def api_metrics(self) -> str:
        """The address of api's metrics."""
        return f"http://127.0.0.1:{self.live.stack.ports.api_metrics_port}/metrics"

    def register(self) -> Account:
        """Make an account."""
        account = new_account(self.live.stack.auth_url)
        expect(202, send(self.calls.register(account)))
        return account

    def log_in(self, account: Account) -> Tokens:
        """Begin a session."""
        return Tokens.of(expect(200, send(account.login())))

    def connect_to_each(self, name: str) -> list[Connection]:
        """Return a connection to each process of `auth` or `api`."""
        url = self.live.stack.auth_url if name == "auth" else self.live.stack.api_url
        made = connect_to_each(url, self.live.pid(name), int(VARIABLES["WEB_WORKERS"]))
        self._connections.extend(made)
        return made

    def worker_pids(self, name: str) -> set[int]:
        """Return the process ids of the workers of `auth` or `api`."""
        return {child.pid for child in psutil.Process(self.live.pid(name)).children()}

    def end(self) -> None:
        """End auth and api, and let go of the connections."""
        for connection in self._connections:
            connection.close()
        self.live.end()
