"""What a user may do where: the scopes of the default role, cut by the audience of the token."""

from collections.abc import Mapping
from typing import Literal

FIRST_PARTY_CLIENT = "redprint"

Audience = Literal["api", "auth"]
DEFAULT_AUDIENCE: Audience = "api"
AUDIENCES: frozenset[str] = frozenset({"api", "auth"})

_DEFAULT_ROLE = frozenset({"contacts:read", "contacts:write", "jobs:read", "jobs:write"})
# No role holds jobs:admin yet: nobody can be given a role other than the default one.
_SCOPES_OF_AUDIENCE: Mapping[str, frozenset[str]] = {
    "api": frozenset({"contacts:read", "contacts:write", "jobs:read", "jobs:write", "jobs:admin"}),
    "auth": frozenset({"jobs:admin"}),
}
ALL_SCOPES = frozenset().union(*_SCOPES_OF_AUDIENCE.values())


def grant_scopes(audience: str) -> frozenset[str]:
    """The scopes a user's token for this audience carries."""
    return _DEFAULT_ROLE & _SCOPES_OF_AUDIENCE[audience]
