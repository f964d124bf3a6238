"""What can be chosen for a local run, each by a variable of its name: make run API_PORT=9002."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

from devtools.say import Stop

Engine = Literal["sqlite", "mysql"]


@dataclass(frozen=True)
class Ports:
    """Where everything listens, on 127.0.0.1."""

    auth_port: int = 8001
    api_port: int = 8002
    auth_metrics_port: int = 9101
    api_metrics_port: int = 9102
    worker_metrics_port: int = 9103
    dispatcher_metrics_port: int = 9104
    valkey_port: int = 8003

    def by_variable(self) -> dict[str, int]:
        """Return each port under the name of the variable that chooses it."""
        return {field.name.upper(): getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class RunSettings:
    """All choices of one run."""

    ports: Ports
    engine: Engine
    mysql_port: int
    with_tour: bool


def read_settings(env: Mapping[str, str] = os.environ) -> RunSettings:
    """Return the choices `env` makes; Stop names the variable that makes no sense."""
    return RunSettings(
        ports=Ports(**{field.name: _port(env, field.name.upper(), int(str(field.default))) for field in fields(Ports)}),
        engine=_engine(env.get("DB") or "sqlite"),
        mysql_port=_port(env, "MYSQL_PORT", 33307),
        with_tour=env.get("TOUR", "1") != "0",
    )


def _engine(text: str) -> Engine:
    match text:
        case "sqlite" | "mysql":
            return text
    raise Stop(f"DB={text} is unknown. Choose one of: make run DB=sqlite, make run DB=mysql")


def _port(env: Mapping[str, str], variable: str, default: int) -> int:
    text = env.get(variable) or str(default)
    if not (text.isascii() and text.isdecimal()) or not 1024 <= int(text) <= 65535:
        raise Stop(f"{variable}={text} is no port. Choose a number from 1024 to 65535: make run {variable}={default}")
    return int(text)
