"""What a read session may send: statements that change nothing and lock nothing."""

import re
from functools import lru_cache

from sqlalchemy.engine.interfaces import ExecutionContext

READ_ONLY = "read_only"
"""The execution option of the engine that read sessions use."""

WITHOUT_TRANSACTION = "without_transaction"
"""The execution option of the engine whose writes commit one by one."""

WAITS_AS_FOR_A_ROW = "waits_as_for_a_row"
"""The execution option of a write that waits for SQLite's file no longer than for a row of MySQL."""

_READS = re.compile(r"(?:SELECT|WITH|SHOW|EXPLAIN|DESCRIBE|DESC|VALUES|TABLE|PRAGMA)\b", re.IGNORECASE)
_LEADING_NOISE = re.compile(r"(?:\s+|\(|--[^\n]*(?:\n|$)|#[^\n]*(?:\n|$)|/\*.*?\*/)+", re.DOTALL)
# A common table expression may precede a write: WITH x AS (...) DELETE FROM ... REPLACE( is a harmless function.
_WRITE_AFTER_WITH = re.compile(r"\)\s*(?:INSERT|UPDATE|DELETE|REPLACE\s+INTO)\b", re.IGNORECASE)
_LOCKS = re.compile(r"\bFOR\s+(?:UPDATE|SHARE)\b|\bLOCK\s+IN\s+SHARE\s+MODE\b", re.IGNORECASE)


class ReadOnlySessionError(RuntimeError):
    """A read session was asked to write, to lock rows or to commit. A fault of the calling code."""


@lru_cache(maxsize=512)
def is_read(statement: str) -> bool:
    """Whether the SQL text only reads.

    It errs on the side of refusing: a literal that holds "FOR UPDATE" is refused too, so pass values as parameters.
    """
    noise = _LEADING_NOISE.match(statement)
    start = noise.end() if noise else 0
    if not _READS.match(statement, start) or _LOCKS.search(statement, start):
        return False
    return statement[start : start + 4].upper() != "WITH" or not _WRITE_AFTER_WITH.search(statement, start)


def is_read_only(context: ExecutionContext | None) -> bool:
    """Whether a statement is sent for a read session. Options of the statement itself cannot change that."""
    return context is not None and bool(context.root_connection.get_execution_options().get(READ_ONLY, False))


def refuse_write(statement: str) -> None:
    """Raise ReadOnlySessionError unless the statement only reads."""
    if not is_read(statement):
        verb = statement.strip()[:40]
        raise ReadOnlySessionError(f"a read session cannot run {verb!r}; writes and row locks need a write session")
