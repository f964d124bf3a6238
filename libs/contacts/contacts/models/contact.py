"""The contacts table."""

from datetime import date, datetime
from uuid import UUID

from common.db import ModelDefaults, new_metadata
from sqlalchemy import JSON, Computed, Date, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from contacts import fields


class Base(ModelDefaults, DeclarativeBase):
    """The base of this package's models, with a metadata of its own."""

    metadata = new_metadata()


class Contact(Base):
    """A person or place somebody keeps. Deleting is soft: `deleted_at` is set, and the external id is free again."""

    __tablename__ = "contacts"
    __table_args__ = (
        # The owner stands last: with (owner_id, ...) first, MySQL takes this index for lists and sorts all rows of the
        # owner; the other way round only the index below fits them.
        UniqueConstraint("live_external_id", "owner_id"),
        Index(None, "owner_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID]
    # Compared byte for byte, as the tables' collation has it: ids that differ in case or accents are different ids.
    external_id: Mapped[str | None] = mapped_column(String(fields.EXTERNAL_ID_LENGTH))
    name: Mapped[str] = mapped_column(String(fields.NAME_LENGTH))
    given_name: Mapped[str | None] = mapped_column(String(fields.PART_OF_NAME_LENGTH))
    family_name: Mapped[str | None] = mapped_column(String(fields.PART_OF_NAME_LENGTH))
    email: Mapped[str | None] = mapped_column(String(fields.EMAIL_LENGTH))
    phone: Mapped[str | None] = mapped_column(String(fields.PHONE_LENGTH))
    organization: Mapped[str | None] = mapped_column(String(fields.ORGANIZATION_LENGTH))
    address: Mapped[str | None] = mapped_column(String(fields.ADDRESS_LENGTH))
    url: Mapped[str | None] = mapped_column(String(fields.URL_LENGTH))
    birthday: Mapped[date | None] = mapped_column(Date)
    tags: Mapped[list[str]] = mapped_column(JSON)
    notes: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    # NULL is unequal to NULL in a unique index, so deleted contacts and those without an external id never collide.
    live_external_id: Mapped[str | None] = mapped_column(
        String(fields.EXTERNAL_ID_LENGTH),
        Computed("CASE WHEN deleted_at IS NULL THEN external_id END", persisted=False),
        deferred=True,
    )
