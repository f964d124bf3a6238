"""What has to be there before services start: folders, development keys, migrated databases."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pymysql

from devtools import say
from devtools.mysql.errors import NoMySQL
from devtools.mysql.find import start
from devtools.mysql.server import OwnServer, url
from devtools.ports import require_free
from devtools.run.settings import RunSettings
from devtools.run.stack import Stack
from devtools.say import Stop


def make_folders(local: Path) -> None:
    """Make the folders of a run; Stop if this user may not."""
    try:
        for name in ("keys", "data", "logs"):
            (local / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Stop(
            f"Cannot write to {local}: {error.strerror}. Change its owner, or delete it: sudo rm -rf {local}"
        ) from None
    if not os.access(local, os.W_OK):
        raise Stop(f"No permission to write to {local}. Change its owner, or delete it: sudo rm -rf {local}")


def make_keys(stack: Stack) -> None:
    """Make the development keys that are missing; the same ones serve every later run."""
    if not all(any(stack.keys.glob(pattern)) for pattern in ("*.pem", "refresh-*.key")):
        command = [sys.executable, "-m", "flask", "keys", "init", "--dir", str(stack.keys)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def migrate_databases(stack: Stack) -> None:
    """Bring both databases to the newest revision."""
    from common.db import migrate  # noqa: PLC0415 - half a second of imports, after the checks that may stop the run

    migrate(stack.auth_database, "auth_service")
    migrate(stack.api_database, "api_service")


@contextmanager
def databases(settings: RunSettings, local: Path) -> Iterator[tuple[str, str]]:
    """Give the addresses of the databases auth and api; a MySQL server started for the run ends with it."""
    home = local / "mysql"
    leftover = OwnServer(home, settings.mysql_port)
    if leftover.pid() is not None:
        say.note("Stopping the MySQL server of an earlier run that was killed ...")
        leftover.stop()
    if settings.engine == "sqlite":
        yield (f"sqlite:///{local / 'data' / 'auth.db'}", f"sqlite:///{local / 'data' / 'api.db'}")
        return
    require_free({"MYSQL_PORT": settings.mysql_port})
    say.note("Starting MySQL ...")
    try:
        server = start(home, settings.mysql_port, keep=True)
    except NoMySQL as error:
        raise Stop(f"No MySQL for DB=mysql: {error}. Run without it: make run") from None
    try:
        yield (_create_database(settings.mysql_port, "auth"), _create_database(settings.mysql_port, "api"))
    finally:
        server.stop()


def _create_database(port: int, name: str) -> str:
    connection = pymysql.connect(host="127.0.0.1", port=port, user="test", password="test")  # noqa: S106 - of a server for this machine only
    with closing(connection), connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4")
    return url(port, name)
