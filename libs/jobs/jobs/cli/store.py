"""The store a command works on, found as the worker finds it, and faults in a line instead of a traceback."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import structlog
from common.db import Database, DatabaseURLError
from common.errors import DomainError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from jobs.stores import read_stores

# Counting a table of millions takes longer than a request may.
READ_TIMEOUT_SECONDS = 300

_HOW = """JOB_STORES is not set: name=url of each job store, separated by commas, as the worker has it. For a local run:
  export JOB_STORES=api=sqlite:///.local/data/api.db,auth=sqlite:///.local/data/auth.db"""


@dataclass(frozen=True)
class ChosenStore:
    """What the command line and the environment say; nothing is looked at before a command asks for it."""

    stores: str | None
    name: str | None
    tls_ca: str | None

    @contextmanager
    def opened(self) -> Iterator[Database]:
        """The store's database, closed at the end. What goes wrong within becomes a line and status 1."""
        _log_to_stderr()
        with _reported():
            database = Database(self._url(), pool_size=1, tls_ca=self.tls_ca, read_timeout_seconds=READ_TIMEOUT_SECONDS)
            _check_file(database)
            try:
                yield database
            finally:
                database.dispose()

    def _url(self) -> str:
        if not self.stores:
            raise click.UsageError(_HOW)
        try:
            urls = read_stores(self.stores)
        except ValueError as error:
            raise click.UsageError(f"JOB_STORES: {error}") from None
        name = next(iter(urls)) if self.name is None and len(urls) == 1 else self.name
        if name not in urls:
            said = "Say which store" if name is None else f"There is no store {name}"
            raise click.UsageError(f"{said}: flask jobs --store {'|'.join(urls)} ...")
        return urls[name]


def _check_file(database: Database) -> None:
    """SQLite would make an empty one."""
    path = database.url.database
    if database.dialect_name == "sqlite" and path and not Path(path).is_file():
        raise click.ClickException(f"The store has no file {path}. A relative path starts at the current folder.")


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except (DomainError, DatabaseURLError) as error:
        raise click.ClickException(str(error)) from error
    except SQLAlchemyError as error:
        # The driver's own text: the statement around it helps nobody here.
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise click.ClickException(f"The store's database refuses, or does not answer: {reason}") from error


def _log_to_stderr() -> None:
    """Standard output is the answer. What a redrive logs in a service is in the job's row, too."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
