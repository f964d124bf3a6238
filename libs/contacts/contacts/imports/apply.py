"""Writing one chunk of rows: which external ids are there already, what that makes of each row, and two statements.

The rows go through the driver's cursor of the session's own transaction: as SQLAlchemy objects they would take two to
three times as long. Values still pass through the column types.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from common.ids import new_id
from sqlalchemy import JSON, Dialect, bindparam, select
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from contacts.fields import FIELD_NAMES, NAME_MISSING, make_name
from contacts.imports.contract import OnConflict
from contacts.imports.rows import Row
from contacts.models import Contact

_INSERT, _UPSERT = "insert", "upsert"
_COLUMNS = ("id", "owner_id", *FIELD_NAMES, "version", "created_at", "updated_at")
_ALIKE = ("owner_id", "created_at", "updated_at")  # the same value in most rows of a chunk
_NEVER_UPDATED = ("id", "owner_id", "created_at")
# The parameter mark, what the new row is called, and what to do where its primary key is there already.
_FORMS = {
    "mysql": ("%s", "new", "AS new ON DUPLICATE KEY UPDATE"),
    "sqlite": ("?", "excluded", "ON CONFLICT (id) DO UPDATE SET"),
}
_EMPTY: dict[str, Any] = dict.fromkeys(FIELD_NAMES) | {"tags": []}

_IS_TAKEN = (
    Contact.live_external_id.in_(bindparam("external_ids", expanding=True)),
    Contact.owner_id == bindparam("owner_id"),
)
_TAKEN_IDS = select(Contact.external_id).where(*_IS_TAKEN)
# Locked, so that nobody changes a contact between being compared and being written.
_TAKEN_ROWS = select(*(getattr(Contact, name) for name in _COLUMNS)).where(*_IS_TAKEN).with_for_update()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that was read well but cannot be applied: `field` is to blame."""

    row: Row
    field: str
    reason: str


@dataclass(slots=True)
class ChunkOutcome:
    """What became of the rows of a chunk; each is counted once."""

    created: int = 0
    updated: int = 0
    skipped: int = 0
    found: int = 0
    """Contacts that were there with an external id of the rows, as far as somebody looked."""
    refused: list[Refusal] = field(default_factory=list)


def apply_chunk(
    session: Session,
    owner_id: UUID,
    rows: Sequence[Row],
    on_conflict: OnConflict,
    *,
    now: datetime,
    look_up: bool = True,
) -> ChunkOutcome:
    """Write the rows as contacts of the owner, in order, in the session's transaction; commits nothing.

    A second row with the external id of one before it is a conflict like one with a contact that was there. Where
    somebody creates a contact with one of the ids at the same moment the database raises (`is_lost_race`): then the
    transaction is to be rolled back and the rows applied in another, which finds that contact. Without `look_up` any
    contact that is there is met in that way.
    """
    chunk = _Chunk(owner_id, on_conflict, now)
    if look_up:
        chunk.look_up(session, rows)
    for row in rows:
        chunk.add(row)
    if chunk.outcome.refused and not look_up:
        # Refused for want of a name, a row would tell nobody that its contact is there, and may have one.
        return apply_chunk(session, owner_id, rows, on_conflict, now=now)
    chunk.write(session)
    return chunk.outcome


class _Chunk:
    """Works out in memory what the rows of a chunk make of the contacts that are there."""

    def __init__(self, owner_id: UUID, on_conflict: OnConflict, now: datetime) -> None:
        self.outcome = ChunkOutcome()
        self._owner_id = owner_id
        self._on_conflict = on_conflict
        self._now = now
        self._created: dict[UUID, dict[str, Any]] = {}
        self._changed: dict[UUID, dict[str, Any]] = {}
        self._by_external_id: dict[str, dict[str, Any]] = {}
        """Contacts as they are after the rows so far; only their ids where values do not matter."""

    def write(self, session: Session) -> None:
        """Send what the rows added up to: the new contacts as one insert, the changed ones as one upsert.

        Both sorted, so that two imports lock keys and rows in one order; otherwise many of their chunks deadlock.
        """
        _send(session, _INSERT, sorted(self._created.values(), key=lambda contact: contact["external_id"] or ""))
        _send(session, _UPSERT, [self._changed[contact_id] for contact_id in sorted(self._changed)])

    def look_up(self, session: Session, rows: Iterable[Row]) -> None:
        external_ids = {row.fields.get("external_id") for row in rows} - {None}
        if not external_ids:
            return
        values = {"owner_id": self._owner_id, "external_ids": list(external_ids)}
        statement = _TAKEN_ROWS if self._on_conflict is OnConflict.UPDATE else _TAKEN_IDS
        for found in session.execute(statement, values).mappings():
            self._by_external_id[found["external_id"]] = dict(found)
        self.outcome.found = len(self._by_external_id)

    def add(self, row: Row) -> None:
        external_id = row.fields.get("external_id")
        contact = self._by_external_id.get(external_id) if external_id else None
        if contact is None:
            self._create(row)
        elif self._on_conflict is OnConflict.SKIP:
            self.outcome.skipped += 1
        elif self._on_conflict is OnConflict.ERROR:
            reason = "another contact has this external_id, or an earlier row of the file"
            self.outcome.refused.append(Refusal(row, "external_id", reason))
        else:
            self._update(row, contact)

    def _create(self, row: Row) -> None:
        contact: dict[str, Any] = {**_EMPTY, **row.fields}
        contact["name"] = make_name(contact["name"], contact["given_name"], contact["family_name"])
        if contact["name"] is None:
            self._refuse_nameless(row)
            return
        contact.update(id=new_id(), owner_id=self._owner_id, version=1, created_at=self._now, updated_at=self._now)
        self._created[contact["id"]] = contact
        if contact["external_id"]:
            self._by_external_id[contact["external_id"]] = contact
        self.outcome.created += 1

    def _update(self, row: Row, contact: dict[str, Any]) -> None:
        merged: dict[str, Any] = {**contact, **row.fields}
        merged["name"] = make_name(merged["name"], merged["given_name"], merged["family_name"])
        if merged["name"] is None:
            self._refuse_nameless(row)
        elif merged == contact:
            self.outcome.skipped += 1
        else:
            # In place: a contact created by this chunk is written with these values at once.
            contact.update(merged, version=contact["version"] + 1, updated_at=self._now)
            if contact["id"] not in self._created:
                self._changed[contact["id"]] = contact
            self.outcome.updated += 1

    def _refuse_nameless(self, row: Row) -> None:
        self.outcome.refused.append(Refusal(row, "name", NAME_MISSING))


def _send(session: Session, verb: str, contacts: Sequence[dict[str, Any]]) -> None:
    if not contacts:
        return
    connection = session.connection()
    values = [
        [process(contact[name]) for contact in contacts] if process else [contact[name] for contact in contacts]
        for name, process in _processors(connection.dialect)
    ]
    connection.exec_driver_sql(_sql(connection.dialect, verb), list(zip(*values, strict=True)))


@lru_cache
def _processors(dialect: Dialect) -> list[tuple[str, Callable[[Any], Any] | None]]:
    """What is done to a value of each column on its way to the driver."""
    return [(name, _processor(getattr(Contact, name).type, dialect, name in _ALIKE)) for name in _COLUMNS]


def _processor(column_type: TypeEngine[Any], dialect: Dialect, is_alike: bool) -> Callable[[Any], Any] | None:
    if isinstance(column_type, JSON):
        return _as_json  # as the type would, only faster
    process: Callable[[Any], Any] | None = column_type.dialect_impl(dialect).bind_processor(dialect)
    if dialect.name == "mysql" and issubclass(column_type.python_type, date):
        process = _as_text(process)
    return lru_cache(maxsize=8)(process) if process and is_alike else process


def _as_json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _as_text(process: Callable[[Any], Any] | None) -> Callable[[Any], str | None]:
    """PyMySQL would write dates and times as these texts too, but takes five times as long."""

    def write(value: Any) -> str | None:
        stored = process(value) if process else value
        return None if stored is None else str(stored)

    return write


@lru_cache
def _sql(dialect: Dialect, verb: str) -> str:
    """One row's statement; PyMySQL sends many rows of it as one statement, as long as the server takes it."""
    mark, new, on_conflict = _FORMS[dialect.name]
    marks = ", ".join(mark for _ in _COLUMNS)
    insert = f"INSERT INTO {Contact.__tablename__} ({', '.join(_COLUMNS)}) VALUES ({marks})"  # noqa: S608 # names of ours
    if verb == _INSERT:
        return insert
    changes = ", ".join(f"{name} = {new}.{name}" for name in _COLUMNS if name not in _NEVER_UPDATED)
    return f"{insert} {on_conflict} {changes}"
