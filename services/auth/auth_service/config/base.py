"""What the auth service knows beyond what every web service does, with the defaults of all environments."""

import os
from pathlib import Path
from typing import ClassVar

from common.config import DatabaseSettings, StateSettings, WebSettings
from pydantic import Field, ValidationInfo, field_validator

from auth_service.keys import KeyDirectory, KeyFileError

DAY_SECONDS = 24 * 3600
MAX_SESSION_SECONDS = 3650 * DAY_SECONDS  # what is for good says so; a moment past the year 9999 is none


def count_cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class AuthSettings(WebSettings, DatabaseSettings, StateSettings):
    """Durations in seconds; the README's table says what each is for and what is dangerous about it."""

    development_only: ClassVar[frozenset[str]] = frozenset({"auth_keys_dir"})

    auth_keys_dir: Path
    access_token_ttl_seconds: int = Field(default=600, ge=60, le=3600)
    refresh_idle_ttl_seconds: int = Field(default=7 * DAY_SECONDS, ge=60, le=MAX_SESSION_SECONDS)
    # Checked without being set too, because it may not fit an idle limit that is.
    refresh_absolute_ttl_seconds: int = Field(
        default=30 * DAY_SECONDS, ge=60, le=MAX_SESSION_SECONDS, validate_default=True
    )
    refresh_grace_seconds: int = Field(default=30, ge=0, le=300)
    email_verification_required: bool = True
    # OWASP's floor for argon2id; raise it as machines grow, logins rehash on their own.
    password_hash_memory_kib: int = Field(default=19456, ge=19456, le=1024 * 1024)
    password_hash_iterations: int = Field(default=2, ge=2, le=100)
    password_hash_slots: int = Field(default_factory=count_cores, ge=1, le=64)

    @field_validator("auth_keys_dir")
    @classmethod
    def _check_keys(cls, directory: Path) -> Path:
        """Keys that cannot be used have to stop the start, beside all other problems, not the first login."""
        try:
            KeyDirectory(directory)
        except KeyFileError as error:
            raise ValueError(str(error)) from error
        return directory

    @field_validator("refresh_absolute_ttl_seconds")
    @classmethod
    def _check_lifetimes(cls, absolute_seconds: int, info: ValidationInfo) -> int:
        """A validator of the field: one of the whole model would keep silent beside other problems."""
        if absolute_seconds < info.data.get("refresh_idle_ttl_seconds", 0):
            raise ValueError("has to be at least REFRESH_IDLE_TTL_SECONDS")
        return absolute_seconds
