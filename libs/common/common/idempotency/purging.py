"""Deleting keys whose time is over."""

from typing import Any

from sqlalchemy import ColumnElement, delete, select, tuple_
from sqlalchemy.orm import Session

from common.clock import utc_now
from common.db import Database, run_write
from common.db.sessions import WriteSession
from common.idempotency.table import KEPT, idempotency_keys

BATCH = 1000

_columns = idempotency_keys.c
_PRIMARY_KEY = (_columns.owner_id, _columns.route, _columns.key)


def delete_expired_keys(database: Database) -> int:
    """Delete up to 1,000 of them in a transaction of its own, and return how many there were."""
    with database.read() as session:
        found = _find(session)

    def work(session: WriteSession) -> None:
        # Asked again: a key that was taken again meanwhile stays.
        session.execute(delete(idempotency_keys).where(tuple_(*_PRIMARY_KEY).in_(found), _is_old()))
        session.commit()

    if found:
        run_write(database, work)
    return len(found)


def _find(session: Session) -> list[tuple[Any, ...]]:
    oldest = select(*_PRIMARY_KEY).where(_is_old()).order_by(_columns.created_at).limit(BATCH)
    return sorted(tuple(row) for row in session.execute(oldest))


def _is_old() -> ColumnElement[bool]:
    return _columns.created_at <= utc_now() - KEPT
