"""What the declarative base of each package is made of.

    class Base(ModelDefaults, DeclarativeBase):
        metadata = new_metadata()

(A function that returns the base would be shorter, but type checkers do not follow classes made at run time.)
"""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import MetaData

from common.db.types import UTCDateTime, UUIDBinary

# Constraints need names to be changed later; these are made of the table and its columns.
_NAMING = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}


class ModelDefaults:
    """`Mapped[UUID]` is BINARY(16) and `Mapped[datetime]` aware UTC without further words.

    Engine, character set and collation of MySQL tables come from the dialect, in migrations too.
    """

    type_annotation_map: ClassVar[dict[Any, Any]] = {UUID: UUIDBinary, datetime: UTCDateTime}


def new_metadata() -> MetaData:
    """A metadata that names constraints; each package with tables has one of its own."""
    return MetaData(naming_convention=_NAMING)
