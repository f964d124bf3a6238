"""Taking a key in the transaction that does the work, and finding the answer of the one that did it before.

Two requests with one key meet at the row: the second waits for the first as long as for any lock, with nothing locked
itself, because taking the key is the first statement of its transaction. Then it finds the answer, or, where the first
was refused and rolled back, takes the key.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, bindparam, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from common.db.reads import WAITS_AS_FOR_A_ROW
from common.db.retry import has_waited_too_long
from common.idempotency.errors import IdempotencyKeyInUse, IdempotencyKeyReused
from common.idempotency.table import KEPT, idempotency_keys


@dataclass(frozen=True)
class KeyUse:
    """A request with a key: whose, on which route, and the SHA-256 of all that tells it from others."""

    owner_id: UUID
    route: str
    key: str
    request_hash: bytes


@dataclass(frozen=True)
class Answer:
    """What a client is sent, but for what is made anew for each request."""

    status: int
    headers: dict[str, str]
    body: bytes


_columns = idempotency_keys.c
_ROW = (
    _columns.owner_id == bindparam("of_owner"),
    _columns.route == bindparam("of_route"),
    _columns.key == bindparam("of_key"),
)
# IGNORE instead of an exception, after which a session has to be rolled back. It would hide a value that is too long
# as well: the lengths of key and route are checked before.
_TAKE = insert(idempotency_keys).prefix_with("IGNORE", dialect="mysql").prefix_with("OR IGNORE", dialect="sqlite")
_FIND = select(_columns.request_hash, _columns.status, _columns.headers, _columns.body, _columns.created_at).where(
    *_ROW
)
_CHANGE = update(idempotency_keys).where(*_ROW)


def take_key(session: Session, use: KeyUse, *, now: datetime) -> Answer | None:
    """Take the key for this transaction and return None, or return the answer of the request that had it before.

    It has to be the first statement of the transaction. Raises IdempotencyKeyReused for another request, and
    IdempotencyKeyInUse where the first one is not done in the time a lock is waited for.
    """
    values = {"owner_id": use.owner_id, "route": use.route, "key": use.key}
    fresh = {"request_hash": use.request_hash, "created_at": now}
    try:
        session.connection(execution_options={WAITS_AS_FOR_A_ROW: True})
        taken = cast("CursorResult[Any]", session.execute(_TAKE, {**values, **fresh})).rowcount == 1
    except DBAPIError as error:
        if has_waited_too_long(error):
            raise IdempotencyKeyInUse from None
        raise
    if taken:
        return None
    row = session.execute(_FIND, _of(use)).one()
    if row.created_at <= now - KEPT:
        # Of two that see this one is thrown out, by the locks both have on the row, and finds a fresh one.
        session.execute(_CHANGE.values(**fresh), _of(use))
        return None
    if row.request_hash != use.request_hash:
        raise IdempotencyKeyReused
    return Answer(row.status, row.headers, row.body)


def keep_answer(session: Session, use: KeyUse, answer: Answer) -> None:
    """Put the answer beside the key, before the one commit of the transaction that took it."""
    kept = _CHANGE.values(status=answer.status, headers=answer.headers, body=answer.body)
    session.execute(kept, _of(use))


def _of(use: KeyUse) -> dict[str, Any]:
    return {"of_owner": use.owner_id, "of_route": use.route, "of_key": use.key}
