"""The shapes of contacts."""

from datetime import date
from typing import Any
from uuid import UUID

from common.web.shapes import Shape, Timestamp, View
from contacts.fields import (
    URL,
    Address,
    Birthday,
    ContactFields,
    Email,
    ExternalID,
    Name,
    Notes,
    Organization,
    PartOfName,
    Phone,
    Tags,
)
from pydantic import Field, model_validator


class _ContactBody(Shape):
    """The fields a client may set. As in imports, texts are stripped and an empty one is none."""

    external_id: ExternalID | None = None
    name: Name | None = None
    given_name: PartOfName | None = None
    family_name: PartOfName | None = None
    email: Email | None = None
    phone: Phone | None = None
    organization: Organization | None = None
    address: Address | None = None
    url: URL | None = None
    birthday: Birthday | None = None
    tags: Tags = Field(default_factory=list)
    notes: Notes | None = None

    @model_validator(mode="before")
    @classmethod
    def _strip(cls, body: Any) -> Any:
        if not isinstance(body, dict):
            return body
        stripped = {name: (value.strip() or None) if isinstance(value, str) else value for name, value in body.items()}
        return stripped | {"tags": []} if body.get("tags", ...) is None else stripped

    def fields(self) -> ContactFields:
        """The fields that were sent, null included."""
        return {name: getattr(self, name) for name in self.model_fields_set}  # type: ignore[return-value] # the names are the same


class NewContact(_ContactBody):
    """A contact to create: a name, or a given or family name to make it of."""


class ContactChanges(_ContactBody):
    """What to change in a contact; null clears a field, a field that is not there stays."""


class ContactView(View):
    """A contact as its owner sees it."""

    id: UUID
    external_id: str | None
    name: str
    given_name: str | None
    family_name: str | None
    email: str | None
    phone: str | None
    organization: str | None
    address: str | None
    url: str | None
    birthday: date | None
    tags: list[str]
    notes: str | None
    version: int
    created_at: Timestamp
    updated_at: Timestamp
