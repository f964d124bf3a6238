"""What registering, logging in, refreshing and logging out take and give."""

from typing import Annotated, Literal

from common.jwt.compact import MAX_TOKEN_LENGTH
from common.web.shapes import Shape, View
from pydantic import Field

from auth_service.emails import MAX_EMAIL_LENGTH
from auth_service.scopes import Audience
from auth_service.views.users import Name

EmailText = Annotated[str, Field(min_length=1, max_length=MAX_EMAIL_LENGTH)]
# Far above the policy's limit, which answers with a reason; this one only keeps the work small.
PasswordText = Annotated[str, Field(min_length=1, max_length=1024)]
# As long as what is looked at as an access token, so that one sent by mistake is refused like any other text.
TokenText = Annotated[str, Field(min_length=1, max_length=MAX_TOKEN_LENGTH)]


class Registration(Shape):
    email: EmailText
    password: PasswordText
    name: Name | None = None


class Accepted(View):
    """The same for a new address and for one that has an account."""

    status: Literal["accepted"] = "accepted"


class Login(Shape):
    """`resource` names the service the access token is for."""

    email: EmailText
    password: PasswordText
    resource: Audience | None = None


class Refresh(Shape):
    """`resource` names another service than the session's own."""

    refresh_token: TokenText
    resource: Audience | None = None


class Logout(Shape):
    """Without a refresh token the bearer token is the proof."""

    refresh_token: TokenText | None = None


class TokenPairView(View):
    """As RFC 6749 section 5.1 names them; durations in seconds from now."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the name of a kind of token
    expires_in: int
    refresh_token: str
    refresh_expires_in: int
    scope: str
