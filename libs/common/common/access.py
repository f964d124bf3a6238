"""Who may call a route: what a route declares, the caller the guard found, and the refusals.

Access is denied by default: a route that declares nothing stops the start (`common.redprint`), and the
guard (`common.web.guard`) refuses an endpoint it does not know. Challenges follow RFC 6750 section 3.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from flask import g

from common.errors import DomainError

if TYPE_CHECKING:
    from common.jwt import Claims

REALM = "redprint"
_SCOPE = re.compile(r"[a-z][a-z0-9_-]*:[a-z][a-z0-9_-]*")

Revocation = Literal["bounded", "strict"]
"""What a route does while nobody can tell which sessions were revoked lately.

`bounded` goes on, so a revoked token may work until it expires; `strict` answers 503 once that has lasted for
`common.revocation.STALE_SECONDS`.
"""


@dataclass(frozen=True)
class Access:
    """The rule of one route: nobody in particular, any user, or a user with all of `scopes`; or the same of services.

    `audience` narrows it to tokens made for that audience; None takes every audience the service takes.
    """

    authenticated: bool
    scopes: frozenset[str] = frozenset()
    audience: str | None = None
    revocation: Revocation = "bounded"
    service_only: bool = False


def authenticated(*, revocation: Revocation = "bounded") -> Access:
    """Return the rule that asks for the token of any user."""
    return Access(authenticated=True, revocation=revocation)


public = Access(authenticated=False)
user = authenticated()


def require(*scopes: str, audience: str | None = None, revocation: Revocation = "bounded") -> Access:
    """Return the rule that asks for a token with every one of `scopes`, each written `resource:action`.

    Raises ValueError for no scope at all (`user` says that) and for a malformed one.
    """
    if not scopes:
        raise ValueError("require() needs at least one scope; for any logged-in user declare access=user")
    return Access(authenticated=True, scopes=_checked(scopes), audience=audience, revocation=revocation)


def service_only(*scopes: str, audience: str | None = None) -> Access:
    """Return the rule that asks for a service's own token, with all of `scopes`; a user's is refused, whatever it may.

    Such a token belongs to no session, so there is none to revoke: it lives until it expires. Raises ValueError for a
    malformed scope.
    """
    return Access(authenticated=True, scopes=_checked(scopes), audience=audience, service_only=True)


def _checked(scopes: tuple[str, ...]) -> frozenset[str]:
    for scope in scopes:
        if not _SCOPE.fullmatch(scope):
            raise ValueError(f"scope {scope!r} is not written as resource:action in lower case")
    return frozenset(scopes)


@dataclass(frozen=True, slots=True)
class Principal:
    """The user on whose behalf a request runs, as the verified token says."""

    user_id: UUID
    session_id: UUID | None
    client_id: str
    scopes: frozenset[str]
    audience: str
    claims: "Claims"


def current_principal() -> Principal:
    """Return the user who calls. Raises RuntimeError where no user was asked for: on a public route, or a service's."""
    principal: Principal | None = g.get("principal")
    if principal is None:
        raise RuntimeError(
            "No user is known here: this route is public, or for services. Declare access=user or require(...)."
        )
    return principal


@dataclass(frozen=True, slots=True)
class CallingService:
    """The service that makes a request for itself, as the verified token says."""

    client_id: str
    scopes: frozenset[str]
    audience: str
    claims: "Claims"


def current_service() -> CallingService:
    """Return the service that calls. Raises RuntimeError on a route that is not for services alone."""
    service: CallingService | None = g.get("service")
    if service is None:
        raise RuntimeError(
            "No service is known here: this route is not for services. Declare access=service_only(...)."
        )
    return service


class AccessError(DomainError):
    """A caller was refused; `challenge` is the WWW-Authenticate header, None where RFC 6750 wants none."""

    challenge: str | None = None


class AuthenticationRequired(AccessError):
    """No credentials: the challenge carries no error code (RFC 6750 section 3.1)."""

    challenge = f'Bearer realm="{REALM}"'

    def __init__(self) -> None:
        super().__init__("This needs an access token: send it as 'Authorization: Bearer <token>'.")


class InvalidToken(AccessError):
    """A token that did not verify. One text for all causes: which check failed is for the log alone."""

    challenge = f'Bearer realm="{REALM}", error="invalid_token", error_description="The access token is not valid"'

    def __init__(self) -> None:
        super().__init__("The access token is not valid here: it is malformed, expired, or meant for something else.")


class InvalidRequest(AccessError):
    """Credentials sent in a way that is not one Authorization header."""

    challenge = f'Bearer realm="{REALM}", error="invalid_request"'


class InsufficientScope(AccessError):
    """The token is good and lacks one of `scopes`."""

    def __init__(self, scopes: frozenset[str]) -> None:
        wanted = " ".join(sorted(scopes))
        self.challenge = f'Bearer realm="{REALM}", error="insufficient_scope", scope="{wanted}"'
        super().__init__(f"This needs a token with the scope {wanted}.")


class UserRequired(AccessError):
    """The token is a service's own, and the route acts for a user."""

    def __init__(self) -> None:
        super().__init__("This acts for a user; a service's own token is not enough.")


class ServiceRequired(AccessError):
    """The token is a user's, and the route is for services."""

    def __init__(self) -> None:
        super().__init__("This is for services; a user's token opens it for nobody.")


class RevocationUnknown(AccessError):
    """The token is good, and whether its session was revoked since cannot be told: never silently open."""

    retry_after_seconds = 5

    def __init__(self) -> None:
        super().__init__(
            "Whether this session was ended cannot be told at the moment, and this needs to know. Try again."
        )
