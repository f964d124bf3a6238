"""Verifies access tokens: one strict pass, every check written out, no decode without it (RFC 8725, RFC 9068)."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

import structlog

from common.clock import Clock, utc_now
from common.jwt.claims import Claims, read_claims
from common.jwt.compact import MAX_TOKEN_LENGTH, CompactToken, Header, split_token
from common.jwt.encoding import parse_json_object
from common.jwt.errors import Refusal, TokenExpired, TokenInvalid
from common.jwt.keys import VerifyingKey
from common.jwt.sources import KeySource

LEEWAY_SECONDS = 30  # clocks of two machines may differ that much
MAX_LIFETIME_SECONDS = 3600  # whatever the issuer says
MAX_VERIFIED_TOKENS = 4096  # about 1.5 kB each
_TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt"})  # RFC 9068 section 4, compared without case

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Verified:
    claims: Claims
    key: VerifyingKey


class TokenVerifier:
    """Accepts the access tokens of one issuer that are meant for one of `audiences`.

    Verified tokens are remembered by their SHA-256 (bounded, no failures). Each hit asks
    again whether the token has expired and whether its key is still a live one.
    """

    def __init__(
        self,
        keys: KeySource,
        issuer: str,
        audiences: frozenset[str],
        clock: Clock = utc_now,
        max_verified_tokens: int = MAX_VERIFIED_TOKENS,
    ) -> None:
        if not isinstance(audiences, frozenset) or not audiences:
            raise TypeError("audiences is a frozenset of at least one name")
        self._keys = keys
        self._issuer = issuer
        self._audiences = audiences
        self._clock = clock
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()
        self._max_verified_tokens = max_verified_tokens
        self._lock = Lock()

    def verify(self, token: str) -> Claims:
        """Return the claims of a valid access token.

        Expiry tolerates LEEWAY_SECONDS. Raises TokenExpired past it and TokenInvalid for anything
        else, whatever the text: an exception nobody thought of is logged and refuses the token too.
        """
        try:
            return self._verify(token)
        except TokenInvalid:
            raise
        except Exception as error:
            log.exception("token_check_failed")
            raise TokenInvalid(Refusal.UNEXPECTED) from error

    def _verify(self, token: str) -> Claims:
        if not isinstance(token, str) or len(token) > MAX_TOKEN_LENGTH:
            raise TokenInvalid(Refusal.SIZE)
        if not token.isascii():
            raise TokenInvalid(Refusal.ENCODING)
        now = self._clock().timestamp()
        digest = hashlib.sha256(token.encode("ascii")).digest()
        verified = self._recall(digest)
        if verified is None or self._keys.get(verified.key.kid) != verified.key:
            verified = self._verify_unseen(token, now)
            self._remember(digest, verified)
        _check_expiry(verified.claims, now)
        return verified.claims

    def _verify_unseen(self, token: str, now: float) -> _Verified:
        parts = split_token(token)
        key = self._find_key(parts.header)
        if not key.accepts(parts.signing_input, parts.signature):
            raise TokenInvalid(Refusal.SIGNATURE)
        claims = _read_payload(parts)
        self._check_parties(claims)
        if parts.header.typ.lower() not in _TOKEN_TYPES:
            raise TokenInvalid(Refusal.TYPE)
        _check_times(claims, now)
        return _Verified(claims, key)

    def _find_key(self, header: Header) -> VerifyingKey:
        key = self._keys.get(header.kid)
        if key is None:
            raise TokenInvalid(Refusal.KEY)
        if key.alg != header.alg:
            raise TokenInvalid(Refusal.ALGORITHM)
        return key

    def _check_parties(self, claims: Claims) -> None:
        if claims.iss != self._issuer:
            raise TokenInvalid(Refusal.ISSUER)
        if claims.aud not in self._audiences:
            raise TokenInvalid(Refusal.AUDIENCE)

    def _recall(self, digest: bytes) -> _Verified | None:
        with self._lock:
            verified = self._verified.get(digest)
            if verified is not None:
                self._verified.move_to_end(digest)
            return verified

    def _remember(self, digest: bytes, verified: _Verified) -> None:
        with self._lock:
            self._verified[digest] = verified
            self._verified.move_to_end(digest)
            if len(self._verified) > self._max_verified_tokens:
                self._verified.popitem(last=False)


def _read_payload(parts: CompactToken) -> Claims:
    try:
        members = parse_json_object(parts.payload)
    except (ValueError, RecursionError):
        raise TokenInvalid(Refusal.PAYLOAD) from None
    return read_claims(members)


def _check_times(claims: Claims, now: float) -> None:
    _check_expiry(claims, now)
    latest_start = now + LEEWAY_SECONDS
    if claims.iat > latest_start or (claims.nbf is not None and claims.nbf > latest_start):
        raise TokenInvalid(Refusal.TIME)
    if not 0 < claims.exp - claims.iat <= MAX_LIFETIME_SECONDS:
        raise TokenInvalid(Refusal.LIFETIME)


def _check_expiry(claims: Claims, now: float) -> None:
    if now >= claims.exp + LEEWAY_SECONDS:
        raise TokenExpired
