"""Refresh tokens: opaque, 256 random bits beside the session's id, of which only a hash is stored."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from uuid import UUID

from common.jwt.encoding import decode_base64url, encode_base64url

# The prefix lets the form change later; a dot makes the text no JWT, whatever follows it.
_PREFIX = "rt0."
_FORM = re.compile(r"rt0\.[A-Za-z0-9_-]{64}")
_SECRET_BYTES = 32


@dataclass(frozen=True)
class RefreshToken:
    session_id: UUID
    secret: bytes

    @classmethod
    def new(cls, session_id: UUID) -> "RefreshToken":
        return cls(session_id, secrets.token_bytes(_SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> "RefreshToken | None":
        """Return what the text says, None if it is no refresh token."""
        if not _FORM.fullmatch(text):
            return None
        data = decode_base64url(text.removeprefix(_PREFIX))
        return cls(UUID(bytes=data[:16]), data[16:])

    @property
    def digest(self) -> bytes:
        """SHA-256 of the secret, 32 bytes: enough for a random secret, which nobody can guess offline."""
        return hashlib.sha256(self.secret).digest()

    def __str__(self) -> str:
        return _PREFIX + encode_base64url(self.session_id.bytes + self.secret)

    def __repr__(self) -> str:
        return f"RefreshToken(session_id={self.session_id})"
