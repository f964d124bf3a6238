"""What users see and change of themselves."""

from typing import Annotated
from uuid import UUID

from common.web.shapes import Shape, Timestamp, View
from pydantic import Field

from auth_service.models.user import MAX_NAME_LENGTH

# Control characters and the separators of lines and paragraphs would break lines wherever the name is shown.
_ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH, pattern=_ONE_LINE)]


class UserView(View):
    id: UUID
    email: str
    email_verified: bool
    name: str | None
    created_at: Timestamp
    updated_at: Timestamp


class UserChange(Shape):
    """A name, or null for none; what is absent stays."""

    name: Name | None = None
