"""Verifies access tokens: one strict pass, every check written out, no decode without it (RFC 8725, RFC 9068)."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock
from typing import NamedTuple
from uuid import UUID

import structlog

from common.clock import Clock, utc_now
from common.jwt.claims import Claims, read_claims
from common.jwt.compact import check_text, read_access_token_header
from common.jwt.encoding import parse_json_object
from common.jwt.errors import Refusal, TokenExpired, TokenInvalid, TokenRevoked
from common.jwt.keys import VerifyingKey
from common.jwt.signature import verify_signature
from common.jwt.sources import KeySource

LEEWAY_SECONDS = 30  # clocks of two machines may differ that much
MAX_LIFETIME_SECONDS = 3600  # whatever the issuer says
MAX_VERIFIED_TOKENS = 4096  # about 1.5 kB each

log = structlog.get_logger(__name__)


def verify_access_token(
    token: str, *, keys: KeySource, issuer: str, audiences: frozenset[str], now: datetime
) -> Claims:
    """Return the claims of a valid access token of `issuer` that is meant for one of `audiences`.

    `now` is aware; expiry tolerates LEEWAY_SECONDS. Absence never gets a default. Nothing is remembered, and
    revocation is not asked: `TokenVerifier` does both. Raises TokenExpired past the leeway and TokenInvalid for
    anything else, whatever the text: an exception nobody thought of is logged and refuses the token too.
    """
    expected = _Expected.of(issuer, audiences)
    if now.utcoffset() is None:
        raise ValueError("now is an aware datetime")
    try:
        return _verify(token, keys, expected, now.timestamp()).claims
    except TokenInvalid:
        raise
    except Exception as error:
        log.exception("token_check_failed")
        raise TokenInvalid(Refusal.UNEXPECTED) from error


class TokenVerifier:
    """Accepts the access tokens of one issuer that are meant for one of `audiences`.

    Verified tokens are remembered by their SHA-256 (bounded, no failures). Each hit asks again whether
    the token has expired, whether its key is still a live one and whether its session was revoked:
    `is_revoked` takes a session's id, must be cheap, and None means that no token is ever revoked.
    """

    def __init__(
        self,
        keys: KeySource,
        issuer: str,
        audiences: frozenset[str],
        clock: Clock = utc_now,
        *,
        max_verified_tokens: int = MAX_VERIFIED_TOKENS,
        is_revoked: Callable[[UUID], bool] | None = None,
    ) -> None:
        self._keys = keys
        self._expected = _Expected.of(issuer, audiences)
        self._clock = clock
        self._is_revoked = is_revoked
        self._verified: OrderedDict[bytes, _Remembered] = OrderedDict()
        self._max_verified_tokens = max_verified_tokens
        self._lock = Lock()

    def verify(self, token: str) -> Claims:
        """Return the claims of a valid access token; raises as `verify_access_token` does."""
        try:
            claims = self._verify(token)
            # By session and never by token: an ES256 signature has a second form that verifies too.
            if self._is_revoked is not None and claims.sid is not None and self._is_revoked(claims.sid):
                raise TokenRevoked(claims)
        except TokenInvalid:
            raise
        except Exception as error:
            log.exception("token_check_failed")
            raise TokenInvalid(Refusal.UNEXPECTED) from error
        return claims

    def _verify(self, token: str) -> Claims:
        check_text(token)
        digest = hashlib.sha256(token.encode("ascii")).digest()
        with self._lock:
            remembered = self._verified.get(digest)
            if remembered is not None:
                self._verified.move_to_end(digest)
        now = self._clock()
        if remembered is not None and self._is_live(remembered.key):
            if now >= remembered.refused_from:
                raise TokenExpired
            return remembered.claims
        verified = _verify(token, self._keys, self._expected, now.timestamp())
        self._remember(digest, verified)
        return verified.claims

    def _is_live(self, key: VerifyingKey) -> bool:
        found = self._keys.get(key.kid)
        return found is key or found == key  # the same object, unless the set was loaded again since

    def _remember(self, digest: bytes, verified: "_Verified") -> None:
        refused_from = datetime.fromtimestamp(verified.claims.exp + LEEWAY_SECONDS, UTC)
        with self._lock:
            self._verified[digest] = _Remembered(verified.claims, verified.key, refused_from)
            self._verified.move_to_end(digest)
            if len(self._verified) > self._max_verified_tokens:
                self._verified.popitem(last=False)


class _Expected(NamedTuple):
    issuer: str
    audiences: frozenset[str]

    @classmethod
    def of(cls, issuer: str, audiences: frozenset[str]) -> "_Expected":
        # In a text every part of it would count as a member.
        if not isinstance(audiences, frozenset) or not audiences:
            raise TypeError("audiences is a frozenset of at least one name")
        return cls(issuer, audiences)


class _Verified(NamedTuple):
    claims: Claims
    key: VerifyingKey


class _Remembered(NamedTuple):
    claims: Claims
    key: VerifyingKey
    refused_from: datetime


def _verify(token: str, keys: KeySource, expected: _Expected, now: float) -> _Verified:
    """Do all that need not be done again while the key lives, and the token with it."""
    signed = verify_signature(token, keys, read_access_token_header)
    claims = _read_payload(signed.payload)
    if claims.iss != expected.issuer:
        raise TokenInvalid(Refusal.ISSUER)
    if claims.aud not in expected.audiences:
        raise TokenInvalid(Refusal.AUDIENCE)
    _check_times(claims, now)
    return _Verified(claims, signed.key)


def _read_payload(payload: bytes) -> Claims:
    try:
        members = parse_json_object(payload)
    except (ValueError, RecursionError):
        raise TokenInvalid(Refusal.PAYLOAD) from None
    return read_claims(members)


def _check_times(claims: Claims, now: float) -> None:
    if now >= claims.exp + LEEWAY_SECONDS:
        raise TokenExpired
    latest_start = now + LEEWAY_SECONDS
    if claims.iat > latest_start or (claims.nbf is not None and claims.nbf > latest_start):
        raise TokenInvalid(Refusal.TIME)
    if not 0 < claims.exp - claims.iat <= MAX_LIFETIME_SECONDS:
        raise TokenInvalid(Refusal.LIFETIME)
