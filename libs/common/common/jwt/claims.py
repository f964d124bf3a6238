"""The claims of an access token (RFC 9068 section 2.2), typed strictly: absence never gets a default."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from common.jwt.errors import Refusal, TokenInvalid

MAX_SCOPE_LENGTH = 1024
_MAX_TIME = 253_402_300_799  # end of the year 9999
_IDENTIFIER = re.compile(r"[\x21-\x7e]{1,255}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # the one spelling of an id
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")  # RFC 6749 section 3.3


class Claims(NamedTuple):  # of twelve members a frozen dataclass takes 3 us to make
    """What a verified token says; times are seconds since the epoch.

    `user_id` is `sub` of a person's token and None for a service's own (`sub` equals `client_id`).
    """

    iss: str
    aud: str
    sub: str
    client_id: str
    jti: str
    iat: int
    exp: int
    nbf: int | None
    scopes: frozenset[str]
    sid: UUID | None
    auth_time: int | None
    user_id: UUID | None


def read_claims(members: Mapping[str, object]) -> Claims:
    """Return the claims of a signed payload; raises TokenInvalid for a missing one or a wrong type."""
    sub = _identifier(members, "sub")
    client_id = _identifier(members, "client_id")
    sid = _optional_uuid(members, "sid")
    return Claims(
        iss=_text(members, "iss"),
        aud=_audience(members),
        sub=sub,
        client_id=client_id,
        jti=_identifier(members, "jti"),
        iat=_time(members, "iat"),
        exp=_time(members, "exp"),
        nbf=_optional_time(members, "nbf"),
        scopes=_scopes(members),
        sid=sid,
        auth_time=_optional_time(members, "auth_time"),
        user_id=_user_id(sub, client_id, sid),
    )


def _text(members: Mapping[str, object], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not value:
        raise TokenInvalid(Refusal.CLAIM)
    return value


def _identifier(members: Mapping[str, object], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        raise TokenInvalid(Refusal.CLAIM)
    return value


def _audience(members: Mapping[str, object]) -> str:
    """One audience, as text or as a list of one (RFC 7519 section 4.1.3): a token is for one service."""
    value = members.get("aud")
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str) or not value:
        raise TokenInvalid(Refusal.CLAIM)
    return value


def _time(members: Mapping[str, object], name: str) -> int:
    value = members.get(name)
    # A bool is an int in Python; a float would bring NaN and 1e400.
    if type(value) is not int or not 0 < value <= _MAX_TIME:
        raise TokenInvalid(Refusal.CLAIM)
    return value


def _optional_time(members: Mapping[str, object], name: str) -> int | None:
    return _time(members, name) if name in members else None


def _optional_uuid(members: Mapping[str, object], name: str) -> UUID | None:
    return _uuid(members[name]) if name in members else None


def _uuid(value: object) -> UUID:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise TokenInvalid(Refusal.CLAIM)
    return UUID(value)


def _scopes(members: Mapping[str, object]) -> frozenset[str]:
    return _split_scope(_text(members, "scope")) if "scope" in members else frozenset()


@lru_cache(maxsize=256)  # there are about as many as roles; failures raise and are not held
def _split_scope(scope: str) -> frozenset[str]:
    if len(scope) > MAX_SCOPE_LENGTH or not _SCOPE.fullmatch(scope):
        raise TokenInvalid(Refusal.CLAIM)
    return frozenset(scope.split(" "))


def _user_id(sub: str, client_id: str, sid: UUID | None) -> UUID | None:
    if sub == client_id:
        if sid is not None:
            raise TokenInvalid(Refusal.CLAIM)
        return None
    return _uuid(sub)
