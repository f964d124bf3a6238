"""Reading an owner's contacts for an export: page by page in the order of their ids."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from common.db.mysql import error_code
from sqlalchemy import Integer, Row, bindparam, func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from contacts.fields import FIELD_NAMES
from contacts.models import Contact

MOST_COUNTED = 2_000_000
"""Counting takes about a second a million; of more than that an export does not say how many there will be."""

COUNTING_SECONDS = 3
"""Nor does it where counting takes longer: on a busy server that may be more than a connection waits for an answer."""
_OUT_OF_TIME = 3024  # ER_QUERY_TIMEOUT

_LIVE = (Contact.owner_id == bindparam("owner_id"), Contact.deleted_at.is_(None))
_UP_TO = Contact.id <= bindparam("until")
_ORDER = (Contact.owner_id, Contact.id)
# Said to MySQL in so many words: a range of ids tempts it to walk the primary key through the contacts of all owners.
_BY_OWNER = (Contact, "FORCE INDEX (ix_contacts_owner_id_id)", "mysql")
_FIRST_PAGE = (
    select(Contact.id, *(getattr(Contact, name) for name in FIELD_NAMES))
    .with_hint(*_BY_OWNER)
    .where(*_LIVE, _UP_TO)
    .order_by(*_ORDER)
    .limit(bindparam("limit", type_=Integer))
)
_NEXT_PAGE = _FIRST_PAGE.where(Contact.id > bindparam("after"))
_LAST_ID = (
    select(Contact.id).with_hint(*_BY_OWNER).where(*_LIVE).order_by(*(column.desc() for column in _ORDER)).limit(1)
)
_COUNTED = select(Contact.id).with_hint(*_BY_OWNER).where(*_LIVE, _UP_TO).limit(MOST_COUNTED + 1)
_COUNT = (
    select(func.count())
    .select_from(_COUNTED.subquery())
    .prefix_with(f"/*+ MAX_EXECUTION_TIME({COUNTING_SECONDS * 1000}) */", dialect="mysql")
)


def last_id(session: Session, owner_id: UUID) -> UUID | None:
    """The id of the owner's youngest live contact, None without any."""
    return session.scalar(_LAST_ID, {"owner_id": owner_id})


def count(session: Session, owner_id: UUID, until: UUID) -> int | None:
    """How many live contacts the owner has up to that id; None for more than MOST_COUNTED, and where it takes long."""
    try:
        found: int = session.scalars(_COUNT, {"owner_id": owner_id, "until": until}).one()
    except OperationalError as error:
        if error.orig is None or error_code(error.orig) != _OUT_OF_TIME:
            raise
        return None
    return found if found <= MOST_COUNTED else None


def read_page(session: Session, owner_id: UUID, *, after: UUID | None, until: UUID, limit: int) -> Sequence[Row[Any]]:
    """The next live contacts behind `after`, up to and with `until`: `id` and all fields, by name."""
    values = {"owner_id": owner_id, "until": until, "limit": limit}
    if after is None:
        return session.execute(_FIRST_PAGE, values).all()
    return session.execute(_NEXT_PAGE, {**values, "after": after}).all()
