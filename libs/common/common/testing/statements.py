"""Counting what really reaches the database, by the server's own counters."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, event, text

from common.db import Database
from common.db.engine import make_engine

# What the live sessions of one database have sent. "Questions" is counted before a statement runs, so nothing is missed
# that a client has seen the end of; the counters by kind follow just after the answer.
_TOTALS = text(
    "SELECT thread_id, CAST(variable_value AS UNSIGNED) FROM performance_schema.status_by_thread"
    " JOIN performance_schema.threads USING (thread_id)"
    " WHERE processlist_db = :name AND variable_name = 'Questions'"
)
_KINDS = text(
    "SELECT thread_id, event_name, count_star"
    " FROM performance_schema.events_statements_summary_by_thread_by_event_name"
    " JOIN performance_schema.threads USING (thread_id)"
    " WHERE processlist_db = :name AND event_name LIKE 'statement/sql/%' AND count_star > 0"
)
_KINDS_DELAY_SECONDS = 1.0


class Statements:
    """How many statements were sent: `total`, and `kinds` (lower case: select, insert, begin, commit, ...)."""

    def __init__(self) -> None:
        self.total = 0
        self.kinds: Counter[str] = Counter()


@contextmanager
def statements(database: Database, observer: URL | None = None) -> Iterator[Statements]:
    """Count the statements of the block; read the numbers after it.

    The database's user reads the server's counters, or `observer` where that one may not.

    On MySQL every session of the database counts, those of other processes too; sessions that ended within the block
    do not, and opening one costs a few statements, so let the pools fill before. On SQLite the sessions of `database`
    count that are opened within the block.
    """
    if database.dialect_name == "mysql":
        with _on_server(observer or database.url) as counted:
            yield counted
    else:
        with _in_driver(database) as counted:
            yield counted


@contextmanager
def _on_server(url: URL) -> Iterator[Statements]:
    counted = Statements()
    parameters = {"name": url.database}
    with _observer(url) as connection:
        totals, kinds = _totals(connection, parameters), _kinds(connection, parameters)
        yield counted
        counted.total = (_totals(connection, parameters) - totals).total()
        deadline = time.monotonic() + _KINDS_DELAY_SECONDS
        while (grown := _kinds(connection, parameters) - kinds).total() < counted.total:
            if time.monotonic() > deadline:
                break
            time.sleep(0.005)
    for (_, event_name), number in grown.items():
        counted.kinds[event_name.removeprefix("statement/sql/")] += number


@contextmanager
def _observer(url: URL) -> Iterator[Connection]:
    """A connection to the same server, but to no database: it is not among the sessions it counts."""
    server = make_engine(url.set(database=""), pool_size=1).execution_options(read_only=True)
    try:
        with server.connect() as connection:
            yield connection
    finally:
        server.dispose()


def _totals(connection: Connection, parameters: dict[str, str | None]) -> Counter[int]:
    return Counter({thread: int(number) for thread, number in connection.execute(_TOTALS, parameters)})


def _kinds(connection: Connection, parameters: dict[str, str | None]) -> Counter[tuple[int, str]]:
    rows = connection.execute(_KINDS, parameters)
    return Counter({(thread, event_name): number for thread, event_name, number in rows})


@contextmanager
def _in_driver(database: Database) -> Iterator[Statements]:
    counted = Statements()
    traced = []

    def note(statement: str) -> None:
        counted.total += 1
        counted.kinds[statement.split(maxsplit=1)[0].lower()] += 1

    def trace(connection: Any, *_: object) -> None:
        connection.set_trace_callback(note)
        traced.append(connection)

    event.listen(database.engine, "checkout", trace)
    try:
        yield counted
    finally:
        event.remove(database.engine, "checkout", trace)
        for connection in traced:
            connection.set_trace_callback(None)


@contextmanager
def recorded(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """Collect what is sent through an engine while the block runs: statements with their parameters.

    Engines outlive a test: what listens to one for longer keeps the parameters of all tests after it.
    """
    sent: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_more: object) -> None:
        sent.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)
