"""Try the ways to a MySQL server in order, and say why each one that failed did."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from devtools.mysql import debian, programs
from devtools.mysql.docker import ContainerServer, require_engine
from devtools.mysql.errors import NoMySQL, Unavailable
from devtools.mysql.handshake import server_version
from devtools.mysql.programs import Program
from devtools.mysql.server import OwnServer

T = TypeVar("T")


class Server(Protocol):
    """What was started, so that it can be ended."""

    port: int

    def stop(self) -> None:
        """End it and keep its data."""

    def discard(self) -> None:
        """End it and delete its data."""


def base_folder() -> Path:
    """Return this user's folder of fetched programs and throw-away data; Unavailable if somebody else made it."""
    default = f"/var/tmp/redprint-mysql-{os.getuid()}"  # noqa: S108 - the owner is checked below
    folder = Path(os.environ.get("REDPRINT_MYSQL_DIR", default))
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid != os.getuid():
        raise Unavailable(f"{folder} belongs to somebody else; name another one in REDPRINT_MYSQL_DIR")
    return folder


def named_server(env: Mapping[str, str] = os.environ) -> str | None:
    """Return TEST_MYSQL_URL, None if it is not set; NoMySQL if no MySQL answers there."""
    url = env.get("TEST_MYSQL_URL", "").strip()
    if not url:
        return None
    address = urlsplit(url)
    version = server_version(address.hostname or "127.0.0.1", address.port or 3306)
    if version is None or "mariadb" in version.lower():
        found = "nothing answers there" if version is None else f"a MariaDB ({version}) answers there"
        raise NoMySQL(f"TEST_MYSQL_URL names {address.hostname}:{address.port or 3306}, but {found}")
    return url


def prepare() -> None:
    """Fetch what `start` would fetch, so that it can be had while something else is done. NoMySQL as for `start`."""
    ways: list[Callable[[], object]] = [programs.installed, require_engine, _fetched]
    _first_of(ways)


def start(home: Path, port: int, *, keep: bool) -> Server:
    """Start a server by the first way that works: mysqld on PATH, a Docker engine, Debian's packages.

    `home` takes its data; `keep` says that they outlive the server. NoMySQL lists the reason of every way.
    """
    own, container = OwnServer(home, port), ContainerServer(port)

    def start_own(program: Program) -> Server:
        own.start(program)
        return own

    def start_container() -> Server:
        container.start(keep_in=home if keep else None)
        return container

    return _first_of([lambda: start_own(programs.installed()), start_container, lambda: start_own(_fetched())])


def _fetched() -> Program:
    return debian.fetched(base_folder() / "debian")


def _first_of(ways: Sequence[Callable[[], T]]) -> T:
    reasons = []
    for way in ways:
        try:
            return way()
        except Unavailable as error:
            reasons.append(str(error))
    raise NoMySQL("; ".join(reasons))
