"""Refresh tokens: opaque, derived from their session, so that none is stored and a retry gets the very same one.

    rt1.<key version>.<session id>.<generation>.<mac>

The mac is HMAC-SHA256 (RFC 2104) over all that precedes it and the session's salt. The salt is in the database alone
and the key in a file alone: neither leak is enough to forge a token. The dots and the prefix make it no JWT.
"""

import hmac
import re
from dataclasses import dataclass, field
from uuid import UUID

from common.jwt.encoding import decode_base64url, encode_base64url

from auth_service.keys import RefreshKey

SALT_BYTES = 16
MAX_GENERATION = 2**32 - 1
# The shape bounds the length too. One spelling for each number and id: no leading zeros, no capitals.
_FORM = re.compile(
    r"rt1\.(?P<version>[1-9][0-9]{0,3})"
    r"\.(?P<session>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    r"\.(?P<generation>0|[1-9][0-9]{0,9})"
    r"\.(?P<mac>[A-Za-z0-9_-]{43})"
)


@dataclass(frozen=True)
class RefreshToken:
    """What a text claims; nothing of it is known to be true before `is_genuine` says so."""

    key_version: int
    session_id: UUID
    generation: int
    mac: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "RefreshToken | None":
        """Return what the text says, None if it is no refresh token or not in its one spelling."""
        match = _FORM.fullmatch(text)
        if match is None or int(match["generation"]) > MAX_GENERATION:
            return None
        try:
            mac = decode_base64url(match["mac"])
        except ValueError:  # bits set in the unused part of the last character
            return None
        return cls(int(match["version"]), UUID(match["session"]), int(match["generation"]), mac)

    def is_genuine(self, key: RefreshKey, salt: bytes) -> bool:
        """Whether it was derived with this key and salt; the time taken tells nothing."""
        return hmac.compare_digest(self.mac, _compute_mac(key, salt, self._claim))

    @property
    def _claim(self) -> str:
        return _write_claim(self.key_version, self.session_id, self.generation)


def derive_refresh_token(key: RefreshKey, session_id: UUID, generation: int, salt: bytes) -> str:
    """Return the one token of this generation of a session under this key, some 90 characters."""
    claim = _write_claim(key.version, session_id, generation)
    return f"{claim}.{encode_base64url(_compute_mac(key, salt, claim))}"


def _write_claim(key_version: int, session_id: UUID, generation: int) -> str:
    return f"rt1.{key_version}.{session_id}.{generation}"


def _compute_mac(key: RefreshKey, salt: bytes, claim: str) -> bytes:
    # The salt has a fixed length, so no other claim and salt put together give the same bytes.
    return hmac.digest(key.secret, claim.encode("ascii") + b"." + salt, "sha256")
