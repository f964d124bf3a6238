"""The processes of the product on one machine: their commands and what each is told by its environment."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devtools.processes import mark_of
from devtools.run.settings import Ports
from devtools.run.valkey import server_command

HOST = "127.0.0.1"
BROKER = "valkey"


@dataclass(frozen=True)
class Service:
    """One process to start in the root of the repository."""

    name: str
    command: list[str]
    env: dict[str, str]


@dataclass(frozen=True)
class Stack:
    """A whole set of services: their folder, ports and databases, and further variables for all of them."""

    folder: Path
    ports: Ports
    auth_database: str
    api_database: str
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def keys(self) -> Path:
        """The folder of the signing keys."""
        return self.folder / "keys"

    @property
    def auth_url(self) -> str:
        """The address of auth."""
        return f"http://{HOST}:{self.ports.auth_port}"

    @property
    def api_url(self) -> str:
        """The address of api."""
        return f"http://{HOST}:{self.ports.api_port}"

    @property
    def valkey_url(self) -> str:
        """The one Valkey, broker and revocation stream at once."""
        return f"redis://{HOST}:{self.ports.valkey_port}/0"

    def services(self) -> list[Service]:
        """Return all of them, the broker first."""
        return [self.valkey(), self.auth(), self.api(), self.worker(), self.dispatcher()]

    def valkey(self) -> Service:
        """The broker, with an empty memory."""
        return self._service(BROKER, server_command(self.ports.valkey_port, self.folder), {})

    def auth(self) -> Service:
        """The auth service."""
        env = self._web(self.ports.auth_port, self.ports.auth_metrics_port, self.auth_database)
        return self._service("auth", _gunicorn("auth_service"), {**env, "AUTH_KEYS_DIR": str(self.keys)})

    def api(self) -> Service:
        """The api service."""
        env = self._web(self.ports.api_port, self.ports.api_metrics_port, self.api_database)
        return self._service("api", _gunicorn("api_service"), env)

    def worker(self) -> Service:
        """The worker, which runs jobs."""
        return self._service("worker", _module("worker_service.worker"), self._jobs(self.ports.worker_metrics_port))

    def dispatcher(self) -> Service:
        """The dispatcher, which hands jobs to workers."""
        env = self._jobs(self.ports.dispatcher_metrics_port)
        return self._service("dispatcher", _module("worker_service.dispatcher"), env)

    def _service(self, name: str, command: list[str], env: Mapping[str, str]) -> Service:
        common = {"PYTHONUNBUFFERED": "1", **mark_of(self.folder), **self.extra}
        return Service(name, command, {**os.environ, **common, **env})

    def _web(self, port: int, metrics_port: int, database: str) -> dict[str, str]:
        return {
            "HOST": HOST,
            "PORT": str(port),
            "METRICS_PORT": str(metrics_port),
            "DATABASE_URL": database,
            "AUTH_ISSUER": self.auth_url,
            "AUTH_JWKS_URL": f"{self.auth_url}/.well-known/jwks.json",
            "STATE_URL": self.valkey_url,
        }

    def _jobs(self, metrics_port: int) -> dict[str, str]:
        return {
            "METRICS_PORT": str(metrics_port),
            "BROKER_URL": self.valkey_url,
            "JOB_STORES": f"api={self.api_database},auth={self.auth_database}",
            "RUN_DIR": str(self.folder / "run"),
        }


def _gunicorn(package: str) -> list[str]:
    return [sys.executable, "-m", "gunicorn", "-c", "python:common.gunicorn_conf", f"{package}.wsgi:app"]


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", name]
