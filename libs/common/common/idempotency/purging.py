"""Deleting keys whose time is over."""

from sqlalchemy import delete, select, tuple_

from common.clock import utc_now
from common.db import Database, run_write
from common.db.sessions import WriteSession
from common.idempotency.table import KEPT, idempotency_keys

BATCH = 1000

_columns = idempotency_keys.c
_PRIMARY_KEY = (_columns.owner_id, _columns.route, _columns.key)


def delete_expired_keys(database: Database) -> int:
    """Delete up to 1,000 of them in a transaction of its own, and return how many. None are waited for."""
    return run_write(database, _delete_batch)


def _delete_batch(session: WriteSession) -> int:
    old = _columns.created_at <= utc_now() - KEPT
    oldest = select(*_PRIMARY_KEY).where(old).order_by(_columns.created_at).limit(BATCH)
    found = sorted(tuple(row) for row in session.execute(oldest))
    if found:
        # Asked again: a key that was taken again meanwhile stays.
        session.execute(delete(idempotency_keys).where(tuple_(*_PRIMARY_KEY).in_(found), old))
        session.commit()
    return len(found)
