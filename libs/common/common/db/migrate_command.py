"""Brings a service's database to the newest revision: `python -m common.db.migrate auth_service`.

Reads APP_ENV, DATABASE_URL and DB_TLS_CA as the services do. With --wait it waits for a database that is not there yet;
with --grant it ends by giving the service's users what the package declares (grants.py). Says in one line what it did
or what to mend; the exit codes are those of sysexits.h.
"""

import argparse
import os
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from common.config import EXIT_CONFIG, DatabaseSettings, load_settings_or_exit
from common.db.database import Database
from common.db.engine import DatabaseURLError, parse_url
from common.db.grants import Account, GrantError
from common.db.migration_lock import LockNotAcquiredError
from common.db.migrations import DDL_WAIT_SECONDS, migrate
from common.db.mysql import error_code
from common.db.revisions import MigrationsNotFoundError, schema_is_current
from common.db.waiting import is_unreachable, wait_until_reachable

EXIT_FAILED = 1
EXIT_NOT_CURRENT = 3
EXIT_USAGE = 64
EXIT_UNAVAILABLE = 69
EXIT_CANNOT_CREATE = 73
EXIT_TRY_AGAIN = 75
EXIT_DENIED = 77

MAX_WAIT_SECONDS = 3600

# What the server answers, by its number.
_ANSWERS = {
    **dict.fromkeys((1044, 1045, 1142, 1227, 1698), (EXIT_DENIED, "{place} denies it to user {user}: {original}")),
    1049: (EXIT_UNAVAILABLE, "there is no database {database} at {place}; create it first"),
    3159: (EXIT_CONFIG, "{place} takes only TLS connections; name the file of its CA in DB_TLS_CA"),
    # What GRANT says of a user that does not exist: that it may not make one.
    1410: (EXIT_UNAVAILABLE, "a user of --grant does not exist at {place}; create it first: {original}"),
    1205: (
        EXIT_TRY_AGAIN,
        "a transaction held what the migration needs for more than {seconds} s; end it, or try again: {original}",
    ),
}


def main(arguments: Sequence[str] | None = None, env: Mapping[str, str] = os.environ) -> int:
    """Migrate or check; give back the exit code."""
    options = _parse(arguments)
    settings = load_settings_or_exit(DatabaseSettings, env)
    url, tls_ca = settings.database_url.get_secret_value(), settings.db_tls_ca
    try:
        return _run(options, url, tls_ca)
    except (MigrationsNotFoundError, GrantError) as error:
        return _fail(EXIT_USAGE, str(error))
    except DatabaseURLError as error:
        return _fail(EXIT_CONFIG, str(error))
    except LockNotAcquiredError as error:
        return _fail(EXIT_TRY_AGAIN, str(error))
    except OSError as error:
        return _fail(EXIT_CANNOT_CREATE, f"cannot create the database file: {error}")
    except DBAPIError as error:
        return _fail(*_explain(error, parse_url(url)))


def _run(options: argparse.Namespace, url: str, tls_ca: str | None) -> int:
    if options.wait:
        wait_until_reachable(url, options.wait, tls_ca=tls_ca, on_wait=lambda error: _tell(error, url, options.wait))
    if options.check:
        return _check(url, options.package, tls_ca)
    return _migrate(url, options.package, tls_ca, dict(options.grant))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m common.db.migrate", description=__doc__)
    parser.add_argument("package", help="the package whose migrations to apply, for instance auth_service")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 3 unless the schema is current")
    parser.add_argument("--wait", type=_seconds, default=0, metavar="SECONDS", help="wait that long for the database")
    parser.add_argument(
        "--grant",
        type=_parse_grant,
        action="append",
        default=[],
        metavar="ROLE=USER",
        help="give USER (or USER@HOST) what the package declares for ROLE; may be given several times (MySQL)",
    )
    options = parser.parse_args(arguments)
    if len({role for role, _ in options.grant}) < len(options.grant):
        parser.error("--grant: a role is granted to one user")
    if options.check and options.grant:
        parser.error("--check changes nothing, so there is nothing to --grant")
    return options


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= MAX_WAIT_SECONDS:  # also what is no number to compare with
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {MAX_WAIT_SECONDS}")
    return seconds


def _parse_grant(text: str) -> tuple[str, Account]:
    role, _, account = text.partition("=")
    try:
        return role, Account.parse(account)
    except GrantError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _migrate(url: str, package: str, tls_ca: str | None, grants: Mapping[str, Account]) -> int:
    applied = migrate(url, package, tls_ca=tls_ca, grants=grants)
    granted = "".join(f"; granted {role} to {account}" for role, account in grants.items())
    _say(f"{package}: " + (f"applied {', '.join(applied)}" if applied else "nothing to apply") + granted)
    return 0


def _tell(error: DBAPIError, url: str, seconds: float) -> None:
    _, reason = _explain(error, parse_url(url))
    print(f"waiting up to {seconds:g} s: {reason}", file=sys.stderr)  # noqa: T201 - a command speaks to its terminal


def _check(url: str, package: str, tls_ca: str | None) -> int:
    database = Database(url, pool_size=1, tls_ca=tls_ca)
    # SQLite would create the file it is asked about.
    is_there = database.dialect_name != "sqlite" or Path(database.url.database or "").exists()
    is_current = is_there and schema_is_current(database, package)
    database.dispose()
    _say(f"{package}: the schema is {'current' if is_current else 'not current'}")
    return 0 if is_current else EXIT_NOT_CURRENT


def _explain(error: DBAPIError, url: URL) -> tuple[int, str]:
    original = error.orig or error
    if isinstance(original, sqlite3.Error):
        return EXIT_FAILED, f"{url.database}: {original}"
    place = f"{url.host or 'localhost'}:{url.port or 3306}"
    if is_unreachable(error):
        return EXIT_UNAVAILABLE, f"cannot reach the database at {place}: {original}"
    code, message = _ANSWERS.get(error_code(original) or 0, (EXIT_FAILED, "the migration failed: {original}"))
    named = {"place": place, "user": url.username, "database": url.database, "seconds": DDL_WAIT_SECONDS}
    return code, message.format(original=original, **named)


def _fail(code: int, message: str) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201 - a command speaks to its terminal
    return code


def _say(message: str) -> None:
    print(message)  # noqa: T201 - a command speaks to its terminal
