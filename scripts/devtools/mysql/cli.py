"""scripts/mysql: start, stop or name the MySQL server for tests."""

import os
import sys

from devtools import say
from devtools.mysql.docker import ContainerServer
from devtools.mysql.errors import NoMySQL, Unavailable
from devtools.mysql.find import Server, base_folder, named_server, prepare, start
from devtools.mysql.handshake import server_version
from devtools.mysql.server import OwnServer, url

USAGE = """\
usage: scripts/mysql up|down|url|fetch

  up    start a MySQL server for tests, unless it runs already, and print its URL
  down  end it and delete its data
  url   print the URL of the server that is named or runs, without starting one
  fetch only fetch what `up` would have to fetch

TEST_MYSQL_URL names a server to use instead; MYSQL_PORT (33306) is the port of our own."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it did what it says, 1 with one line on stderr when not, 2 for a wrong call."""
    actions = {"up": up, "down": down, "url": running_url, "fetch": prepare}
    action = actions.get(" ".join(sys.argv[1:] if arguments is None else arguments))
    if action is None:
        say.note(USAGE)
        return 2
    try:
        action()
    except (NoMySQL, Unavailable, say.Stop) as error:
        say.note(f"No MySQL: {error}.")
        return 1
    return 0


def default_port() -> int:
    """Return the port of the server for tests."""
    return int(os.environ.get("MYSQL_PORT", "33306"))


def running() -> str | None:
    """Return the URL of the server that is named or that `up` has started, None when there is none."""
    named = named_server()
    if named is not None:
        return named
    port = default_port()
    own = OwnServer(base_folder() / str(port), port)
    return url(port) if own.pid() is not None or ContainerServer(port).is_running() else None


def up() -> None:
    """Print the URL of the server, started if need be."""
    found = running()
    if found is None:
        start_on(default_port())
    say.result(found or url(default_port()))


def start_on(port: int) -> Server:
    """Start a throw-away server on that port."""
    if server_version("127.0.0.1", port) is not None:
        raise NoMySQL(f"port {port} is in use by another server; choose one with MYSQL_PORT")
    return start(base_folder() / str(port), port, keep=False)


def down() -> None:
    """End what `up` has started."""
    port = default_port()
    OwnServer(base_folder() / str(port), port).discard()
    if ContainerServer(port).is_running():
        ContainerServer(port).discard()


def running_url() -> None:
    """Print the URL of the running server; NoMySQL when there is none."""
    found = running()
    if found is None:
        raise NoMySQL("none is named in TEST_MYSQL_URL and none was started; start one with scripts/mysql up")
    say.result(found)
