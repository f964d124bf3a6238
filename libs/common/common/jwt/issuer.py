"""Issues access tokens (RFC 9068): short-lived, for one audience, without e-mail or name in them."""

from collections.abc import Collection
from datetime import datetime
from functools import lru_cache
from uuid import UUID

import orjson

from common.clock import Clock, utc_now
from common.ids import new_id
from common.jwt.claims import MAX_SCOPE_LENGTH
from common.jwt.encoding import encode_base64url
from common.jwt.sources import SigningKeySource
from common.jwt.verifier import MAX_LIFETIME_SECONDS


class TokenIssuer:
    """Signs each token with the key that is active then.

    `ttl_seconds` is 1 to MAX_LIFETIME_SECONDS, what verifiers accept at most.
    """

    def __init__(
        self,
        keys: SigningKeySource,
        issuer: str,
        ttl_seconds: int,
        clock: Clock = utc_now,
    ) -> None:
        if not 0 < ttl_seconds <= MAX_LIFETIME_SECONDS:
            raise ValueError(f"ttl_seconds is 1 to {MAX_LIFETIME_SECONDS}")
        self.ttl_seconds = ttl_seconds
        self._keys = keys
        self._issuer = issuer
        self._clock = clock

    def issue(
        self,
        subject: UUID | str,
        *,
        audience: str,
        scopes: Collection[str],
        client_id: str,
        session_id: UUID | None = None,
        auth_time: datetime | None = None,
    ) -> str:
        """Return a signed token.

        A person's token has their id as `subject` and the session's id; a service's own has its
        `client_id` as subject and no session. Raises ValueError when the scopes exceed MAX_SCOPE_LENGTH.
        """
        issued_at = int(self._clock().timestamp())
        claims: dict[str, object] = {
            "iss": self._issuer,
            "aud": audience,
            "sub": str(subject),
            "client_id": client_id,
            "jti": str(new_id()),
            "iat": issued_at,
            "exp": issued_at + self.ttl_seconds,
        }
        if scopes:
            claims["scope"] = _join_scopes(scopes)
        if session_id is not None:
            claims["sid"] = str(session_id)
        if auth_time is not None:
            claims["auth_time"] = int(auth_time.timestamp())
        return self._sign(claims)

    def _sign(self, claims: dict[str, object]) -> str:
        key = self._keys.active_signing_key()
        signing_input = f"{_header(key.alg, key.kid)}.{encode_base64url(orjson.dumps(claims))}"
        return f"{signing_input}.{encode_base64url(key.sign(signing_input.encode('ascii')))}"


@lru_cache(maxsize=16)  # constant for each key
def _header(alg: str, kid: str) -> str:
    return encode_base64url(orjson.dumps({"alg": alg, "kid": kid, "typ": "at+jwt"}))


def _join_scopes(scopes: Collection[str]) -> str:
    joined = " ".join(sorted(scopes))
    if len(joined) > MAX_SCOPE_LENGTH:
        raise ValueError(f"the scopes take more than {MAX_SCOPE_LENGTH} characters")
    return joined
