"""The database's clock as an SQL expression, so that no worker's own clock decides about a lease or a delay."""

from datetime import datetime
from typing import Any

from common.db.types import UTCDateTime
from sqlalchemy import Double, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class database_time(FunctionElement[datetime]):  # noqa: N801 - reads as a function in SQL expressions
    """Now in UTC plus `offset_seconds` (may be negative), by the clock of the database."""

    name = "database_time"
    inherit_cache = True
    type = UTCDateTime()

    def __init__(self, offset_seconds: float = 0.0) -> None:
        super().__init__(bindparam(None, offset_seconds, type_=Double()))


@compiles(database_time, "mysql")
def _mysql(element: database_time, compiler: SQLCompiler, **kw: Any) -> str:
    offset = compiler.process(element.clauses, **kw)
    return f"TIMESTAMPADD(MICROSECOND, ROUND({offset} * 1000000), UTC_TIMESTAMP(6))"


@compiles(database_time, "sqlite")
def _sqlite(element: database_time, compiler: SQLCompiler, **kw: Any) -> str:
    offset = compiler.process(element.clauses, **kw)
    # SQLite's clock has milliseconds; three zeros give the text the width of stored times, which are compared as text.
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', {offset} || ' seconds') || '000')"
