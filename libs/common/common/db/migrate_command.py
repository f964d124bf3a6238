"""Brings a service's database to the newest revision: `python -m common.db.migrate auth_service`.

Reads APP_ENV, DATABASE_URL and DB_TLS_CA as the services do. Says in one line what it did or what to mend; the exit
codes are those of sysexits.h.
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
from common.db.migration_lock import LockNotAcquiredError
from common.db.migrations import migrate
from common.db.mysql import error_code, is_gone
from common.db.revisions import MigrationsNotFoundError, schema_is_current

EXIT_FAILED = 1
EXIT_NOT_CURRENT = 3
EXIT_USAGE = 64
EXIT_UNAVAILABLE = 69
EXIT_CANNOT_CREATE = 73
EXIT_TRY_AGAIN = 75
EXIT_DENIED = 77

_DENIED = frozenset({1044, 1045, 1142, 1227, 1698})
_UNKNOWN_DATABASE = 1049
_UNKNOWN_HOST = 2005
_TLS_DEMANDED = 3159


def main(arguments: Sequence[str] | None = None, env: Mapping[str, str] = os.environ) -> int:
    """Migrate or check; give back the exit code."""
    options = _parse(arguments)
    settings = load_settings_or_exit(DatabaseSettings, env)
    url, tls_ca = settings.database_url.get_secret_value(), settings.db_tls_ca
    try:
        return _check(url, options.package, tls_ca) if options.check else _migrate(url, options.package, tls_ca)
    except MigrationsNotFoundError as error:
        return _fail(EXIT_USAGE, str(error))
    except DatabaseURLError as error:
        return _fail(EXIT_CONFIG, str(error))
    except LockNotAcquiredError as error:
        return _fail(EXIT_TRY_AGAIN, str(error))
    except OSError as error:
        return _fail(EXIT_CANNOT_CREATE, f"cannot create the database file: {error}")
    except DBAPIError as error:
        return _fail(*_explain(error, parse_url(url)))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m common.db.migrate", description=__doc__)
    parser.add_argument("package", help="the package whose migrations to apply, for instance auth_service")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 3 unless the schema is current")
    return parser.parse_args(arguments)


def _migrate(url: str, package: str, tls_ca: str | None) -> int:
    applied = migrate(url, package, tls_ca=tls_ca)
    _say(f"{package}: " + (f"applied {', '.join(applied)}" if applied else "nothing to apply"))
    return 0


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
    place, code = f"{url.host or 'localhost'}:{url.port or 3306}", error_code(original)
    if code in _DENIED:
        return EXIT_DENIED, f"{place} denies it to user {url.username}: {original}"
    if code == _UNKNOWN_DATABASE:
        return EXIT_UNAVAILABLE, f"there is no database {url.database} at {place}; create it first"
    if code == _TLS_DEMANDED:
        return EXIT_CONFIG, f"{place} takes only TLS connections; name the file of its CA in DB_TLS_CA"
    if is_gone(original) or code == _UNKNOWN_HOST:
        return EXIT_UNAVAILABLE, f"cannot reach the database at {place}: {original}"
    return EXIT_FAILED, f"the migration failed: {original}"


def _fail(code: int, message: str) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201 - a command speaks to its terminal
    return code


def _say(message: str) -> None:
    print(message)  # noqa: T201 - a command speaks to its terminal
