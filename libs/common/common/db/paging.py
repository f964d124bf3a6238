"""Keyset paging: a page starts after the last id seen, so rows that come and go shift nothing."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from common.errors import FieldError, FieldErrors

T = TypeVar("T")
DEFAULT_LIMIT = 20
MAX_LIMIT = 100


class Page(BaseModel, Generic[T]):
    """The answer of a list: its items, and the cursor of the next page (None on the last)."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    items: list[T]
    next_cursor: str | None


class LimitQuery(BaseModel):
    """The query parameters every list takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)
    cursor: str | None = None

    @property
    def after(self) -> UUID | None:
        """The id the page starts after, None for the first page. Raises FieldErrors."""
        return None if self.cursor is None else decode_cursor(self.cursor)


def encode_cursor(last_id: UUID) -> str:
    """The cursor of the page after `last_id`: 22 characters, opaque to clients."""
    return base64.urlsafe_b64encode(last_id.bytes).rstrip(b"=").decode("ascii")


def decode_cursor(cursor: str) -> UUID:
    """The id inside a cursor of ours. Raises FieldErrors for anything else."""
    try:
        last_id = UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        last_id = None
    # Base64 has spare bits in the last character; only the text we would write ourselves counts.
    if last_id is None or encode_cursor(last_id) != cursor:
        message = "not a cursor of this list; take next_cursor of the page before as it is"
        raise FieldErrors([FieldError("cursor", "invalid-cursor", message)])
    return last_id


def split_page(rows: Sequence[T], limit: int, id_of: Callable[[T], UUID]) -> tuple[list[T], UUID | None]:
    """Turn the rows of a query with LIMIT limit + 1 into one page and the id the next page starts after, if any."""
    items = list(rows[:limit])
    return items, id_of(items[-1]) if len(rows) > limit else None
