"""Try the ways to a MySQL server in order, and say why each one that failed did."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from devtools.mysql import debian, programs
from devtools.mysql.docker import ContainerServer
from devtools.mysql.errors import NoMySQL, Unavailable
from devtools.mysql.handshake import server_version
from devtools.mysql.server import OwnServer


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


def start(home: Path, port: int, *, keep: bool) -> Server:
    """Start a server by the first way that works: mysqld on PATH, a Docker engine, Debian's packages.

    `home` takes its data; `keep` says that they outlive the server. NoMySQL lists the reason of every way.
    """
    own, container = OwnServer(home, port), ContainerServer(port)
    ways: list[tuple[Server, Callable[[], None]]] = [
        (own, lambda: own.start(programs.installed())),
        (container, lambda: container.start(keep_in=home if keep else None)),
        (own, lambda: own.start(debian.fetched(base_folder() / "debian"))),
    ]
    reasons = []
    for server, begin in ways:
        try:
            begin()
        except Unavailable as error:
            reasons.append(str(error))
        else:
            return server
    raise NoMySQL("; ".join(reasons))
