"""Creating, reading, changing, deleting and restoring contacts. Another owner's contact does not exist here."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from common.db.paging import split_page
from common.errors import FieldError, FieldErrors
from common.ids import new_id
from sqlalchemy import Integer, Row, bindparam, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from contacts.errors import ContactChanged, ContactExists, ContactNotFound
from contacts.fields import FIELD_NAMES, NAME_MISSING, ContactFields, make_name
from contacts.integrity import is_taken_key
from contacts.models import Contact

ContactRow = Row[Any]
"""The columns of a contact that clients see, by name."""

# Built once: building a statement costs as much as running it. Rows instead of objects halve the cost of a read.
_COLUMNS = [getattr(Contact, name) for name in ("id", *FIELD_NAMES, "version", "created_at", "updated_at")]
_OWNED = Contact.owner_id == bindparam("owner_id")
_GET = select(*_COLUMNS).where(Contact.id == bindparam("contact_id"), _OWNED, Contact.deleted_at.is_(None))
# Ordered by both columns of the index: with ORDER BY id alone MySQL may walk the primary key through all owners.
_FIRST_PAGE = (
    select(*_COLUMNS)
    .where(_OWNED, Contact.deleted_at.is_(None))
    .order_by(Contact.owner_id, Contact.id)
    .limit(bindparam("limit", type_=Integer))
)
_NEXT_PAGE = _FIRST_PAGE.where(Contact.id > bindparam("after"))
_LOCKED = (
    select(Contact)
    .where(Contact.id == bindparam("contact_id"), _OWNED)
    .with_for_update()
    .execution_options(populate_existing=True)
)


def get_contact(session: Session, owner_id: UUID, contact_id: UUID) -> ContactRow:
    """Return the owner's live contact. Raises ContactNotFound."""
    row = session.execute(_GET, {"owner_id": owner_id, "contact_id": contact_id}).one_or_none()
    if row is None:
        raise ContactNotFound("There is no contact with this id.")
    return row


def list_contacts(
    session: Session, owner_id: UUID, limit: int, after: UUID | None
) -> tuple[Sequence[ContactRow], UUID | None]:
    """Return up to `limit` live contacts, oldest first, and the id to pass as `after` for the next page, if any."""
    values = {"owner_id": owner_id, "limit": limit + 1, "after": after}
    rows = session.execute(_FIRST_PAGE if after is None else _NEXT_PAGE, values).all()
    return split_page(rows, limit, lambda row: row.id)


def create_contact(session: Session, owner_id: UUID, fields: ContactFields, *, now: datetime) -> Contact:
    """Add a contact and return it, version 1; commits. Raises FieldErrors without any name, ContactExists."""
    contact = Contact(id=new_id(), owner_id=owner_id, tags=[], version=1, created_at=now, updated_at=now)
    _set_fields(contact, fields)
    session.add(contact)
    _commit(session)
    return contact


def update_contact(
    session: Session,
    owner_id: UUID,
    contact_id: UUID,
    fields: ContactFields,
    *,
    now: datetime,
    expected_versions: Collection[int] | None = None,
) -> Contact:
    """Set the given fields and return the contact; None clears one. Commits.

    Nothing changed: version and updated_at stay. `expected_versions` None means any. Raises ContactNotFound,
    ContactChanged, ContactExists, and FieldErrors where no name would be left.
    """
    contact = _take_live(session, owner_id, contact_id, expected_versions)
    _set_fields(contact, fields)
    if session.is_modified(contact):
        _touch(contact, now)
    _commit(session)
    return contact


def delete_contact(
    session: Session,
    owner_id: UUID,
    contact_id: UUID,
    *,
    now: datetime,
    expected_versions: Collection[int] | None = None,
) -> None:
    """Mark the contact as deleted, which frees its external id; commits. Raises ContactNotFound, ContactChanged."""
    contact = _take_live(session, owner_id, contact_id, expected_versions)
    contact.deleted_at = now
    _touch(contact, now)
    _commit(session)


def restore_contact(session: Session, owner_id: UUID, contact_id: UUID, *, now: datetime) -> Contact:
    """Make a deleted contact live again and return it; a live one stays as it is. Commits.

    Raises ContactNotFound, and ContactExists where its external id was taken meanwhile.
    """
    contact = _take(session, owner_id, contact_id)
    if contact.deleted_at is not None:
        contact.deleted_at = None
        _touch(contact, now)
    _commit(session)
    return contact


def _take(session: Session, owner_id: UUID, contact_id: UUID) -> Contact:
    contact = session.scalars(_LOCKED, {"owner_id": owner_id, "contact_id": contact_id}).one_or_none()
    if contact is None:
        raise ContactNotFound("There is no contact with this id.")
    return contact


def _take_live(
    session: Session, owner_id: UUID, contact_id: UUID, expected_versions: Collection[int] | None
) -> Contact:
    contact = _take(session, owner_id, contact_id)
    if contact.deleted_at is not None:
        raise ContactNotFound("There is no contact with this id.")
    if expected_versions is not None and contact.version not in expected_versions:
        raise ContactChanged(f"The contact has version {contact.version} now; read it again before changing it.")
    return contact


def _set_fields(contact: Contact, fields: ContactFields) -> None:
    for field, value in fields.items():
        setattr(contact, field, value)
    name = make_name(contact.name, contact.given_name, contact.family_name)
    if name is None:
        raise FieldErrors([FieldError("name", "missing", NAME_MISSING)])
    contact.name = name


def _touch(contact: Contact, now: datetime) -> None:
    contact.version += 1
    contact.updated_at = now


def _commit(session: Session) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        if not is_taken_key(error):
            raise
        raise ContactExists("Another contact has this external_id.") from None
    session.commit()
