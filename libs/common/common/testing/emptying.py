"""Emptying a MySQL database between tests in a few short statements."""

from pymysql.cursors import Cursor
from pymysql.err import OperationalError

# DELETE costs less than TRUNCATE (which makes the table anew) for the few rows of a usual test.
_TRUNCATE_ABOVE_ROWS = 2000
_TABLES = (
    "SELECT table_name FROM information_schema.tables"
    " WHERE table_schema = %s AND table_type = 'BASE TABLE' AND table_name <> 'alembic_version'"
)
_SESSIONS = "SELECT processlist_id FROM performance_schema.threads WHERE processlist_db = %s"
# Not by information_schema.innodb_trx, which is up to 0.1 s old.
_IN_TRANSACTION = (
    " AND thread_id IN (SELECT thread_id FROM performance_schema.events_transactions_current WHERE state = 'ACTIVE')"
)
_NO_SUCH_SESSION = 1094


def empty_tables(cursor: Cursor, database: str) -> None:
    """Delete every row but the schema's revision. Tables without rows are not touched."""
    cursor.execute(_TABLES, (database,))
    tables = [f"`{database}`.`{name}`" for (name,) in cursor.fetchall()]
    filled = _with_more_rows_than(0, cursor, tables)
    large = _with_more_rows_than(_TRUNCATE_ABOVE_ROWS, cursor, filled)
    if filled:
        cursor.execute("SET foreign_key_checks = 0")
        for table in filled:
            cursor.execute(f"TRUNCATE {table}" if table in large else f"DELETE FROM {table}")  # noqa: S608 # our own names
        cursor.execute("SET foreign_key_checks = 1")


def _with_more_rows_than(rows: int, cursor: Cursor, tables: list[str]) -> list[str]:
    if not tables:
        return []
    probes = ", ".join(f"EXISTS(SELECT 1 FROM {table} LIMIT 1 OFFSET {rows})" for table in tables)  # noqa: S608 # our own names
    cursor.execute(f"SELECT {probes}")
    return [table for table, is_over in zip(tables, cursor.fetchone(), strict=True) if is_over]


def end_sessions(cursor: Cursor, database: str, *, only_in_transaction: bool) -> None:
    """End what a test left open in the database, so that its locks keep nobody waiting."""
    cursor.execute(_SESSIONS + (_IN_TRANSACTION if only_in_transaction else ""), (database,))
    for (session,) in cursor.fetchall():
        try:
            cursor.execute(f"KILL {session}")
        except OperationalError as error:
            if error.args[0] != _NO_SUCH_SESSION:
                raise
