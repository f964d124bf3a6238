"""What users see and change of themselves."""

from typing import Annotated
from uuid import UUID

from common.web.shapes import Shape, Timestamp, View
from pydantic import Field

from auth_service.models.user import MAX_NAME_LENGTH

# Control characters would break lines wherever the name is shown.
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH, pattern=r"^[^\x00-\x1f\x7f]+$")]


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
