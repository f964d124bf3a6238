"""The database's clock as SQL expressions, so that no worker's own clock decides about a lease or a delay."""

from datetime import UTC, datetime, timedelta
from typing import Any

from common.db.types import UTCDateTime
from sqlalchemy import BindParameter, CursorResult, Double, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class database_time(FunctionElement[datetime]):  # noqa: N801 - reads as a function in SQL expressions
    """Now in UTC plus `offset_seconds` (may be negative), by the clock of the database; NULL plus an offset of NULL."""

    name = "database_time"
    inherit_cache = True
    type = UTCDateTime()

    def __init__(self, offset_seconds: float | BindParameter[float] = 0.0) -> None:
        if isinstance(offset_seconds, BindParameter):
            super().__init__(offset_seconds)
        elif offset_seconds:
            super().__init__(bindparam(None, offset_seconds, type_=Double()))
        else:
            super().__init__()  # in statements that are sent for each job a parameter less counts


@compiles(database_time, "mysql")
def _mysql(element: database_time, compiler: SQLCompiler, **kw: Any) -> str:
    if not len(element.clauses):
        return "UTC_TIMESTAMP(6)"
    offset = compiler.process(element.clauses, **kw)
    return f"TIMESTAMPADD(MICROSECOND, ROUND({offset} * 1000000), UTC_TIMESTAMP(6))"


@compiles(database_time, "sqlite")
def _sqlite(element: database_time, compiler: SQLCompiler, **kw: Any) -> str:
    offset = f", {compiler.process(element.clauses, **kw)} || ' seconds'" if len(element.clauses) else ""
    # SQLite's clock has milliseconds; three zeros give the text the width of stored times, which are compared as text.
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now'{offset}) || '000')"


class reported_time(FunctionElement[datetime]):  # noqa: N801 - reads as a function in SQL expressions
    """Now, as `database_time()`, for a column of an INSERT of one row; `read_reported_time` tells when that was.

    SQLite returns it by RETURNING, which has to be added to the statement. MySQL has no such thing, but sends the value
    of LAST_INSERT_ID(n) back with the answer to the statement (documented for mysql_insert_id() of its C API): here n
    is what is stored, in microseconds since 1970. So neither takes a round trip of its own.
    """

    name = "reported_time"
    inherit_cache = True
    type = UTCDateTime()


_EPOCH = "TIMESTAMP'1970-01-01 00:00:00'"


@compiles(reported_time, "mysql")
def _reported_on_mysql(element: reported_time, compiler: SQLCompiler, **kw: Any) -> str:
    since = f"TIMESTAMPDIFF(MICROSECOND, {_EPOCH}, UTC_TIMESTAMP(6))"
    return f"TIMESTAMPADD(MICROSECOND, LAST_INSERT_ID({since}), {_EPOCH})"


@compiles(reported_time, "sqlite")
def _reported_on_sqlite(element: reported_time, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(database_time(), **kw)


def read_reported_time(result: CursorResult[Any]) -> datetime | None:
    """When the INSERT wrote its row; None where it wrote none."""
    if result.returns_rows:
        return result.scalar_one_or_none()
    if result.rowcount == 0:
        return None
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=result.lastrowid)
