"""Refresh keys on disk: the secrets that refresh tokens are derived from, `refresh-<version>.key`."""

import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from common.jwt.encoding import decode_base64url, encode_base64url

from auth_service.keys.errors import KeyFileError

MAX_VERSION = 9999
MIN_SECRET_BYTES = 32  # as many as the HMAC of SHA-256 gives (RFC 2104 section 3)
_FILE_NAME = re.compile(r"refresh-([1-9][0-9]{0,3})\.key")


@dataclass(frozen=True)
class RefreshKey:
    """One secret, and the version by which tokens name it (1 to MAX_VERSION)."""

    version: int
    secret: bytes = field(repr=False)


def file_name(version: int) -> str:
    """The name of the file that holds a version."""
    return f"refresh-{version}.key"


def version_of(name: str) -> int | None:
    """The version a file name stands for; None if it is not a refresh key's."""
    match = _FILE_NAME.fullmatch(name)
    return int(match[1]) if match else None


def read_refresh_key(path: Path, version: int) -> RefreshKey:
    """Return the key of a file: one line of base64url, MIN_SECRET_BYTES or more; raises KeyFileError."""
    try:
        return parse_refresh_key(path.read_bytes(), version)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise KeyFileError(
            f"{path} is not one line of unpadded base64url of {MIN_SECRET_BYTES} bytes or more"
        ) from error


def parse_refresh_key(content: bytes, version: int) -> RefreshKey:
    """Return the key of a file's content; raises ValueError."""
    secret = decode_base64url(content.decode("ascii").removesuffix("\n"))
    if len(secret) < MIN_SECRET_BYTES:
        raise ValueError("the secret is too short")
    return RefreshKey(version, secret)


def new_refresh_key() -> bytes:
    """Return the content of a new file."""
    return f"{encode_base64url(secrets.token_bytes(MIN_SECRET_BYTES))}\n".encode("ascii")
