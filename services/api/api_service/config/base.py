"""What the api service knows beyond what every web service does, with the defaults of all environments."""

from pathlib import Path
from typing import Annotated, ClassVar

from common.config import DatabaseSettings, StateSettings, WebSettings
from common.jwt.jwks import parse_jwks
from common.jwt.jwks_fetch import check_url
from jobs.files import check_job_files
from pydantic import AfterValidator, Field, field_validator

MIB = 1024 * 1024


class APISettings(WebSettings, DatabaseSettings, StateSettings):
    """The README's table says what each is for."""

    development_only: ClassVar[frozenset[str]] = frozenset({"auth_jwks_url"})

    auth_jwks_url: str
    auth_jwks_file: Path | None = None
    import_max_bytes: int = Field(default=100 * MIB, ge=1024)
    job_files: Annotated[str, AfterValidator(check_job_files)] = "database"
    jobs_max_unfinished: int = Field(default=10_000, ge=1)

    @field_validator("auth_jwks_url")
    @classmethod
    def _check_jwks_url(cls, url: str) -> str:
        """Beside all other problems, not as a traceback of the cache that would fetch it."""
        check_url(url)
        return url

    @field_validator("auth_jwks_file")
    @classmethod
    def _check_jwks_file(cls, path: Path | None) -> Path | None:
        """As above. It is read again when the application is made."""
        if path is not None:
            try:
                parse_jwks(path.read_bytes())
            except OSError as error:
                raise ValueError(f"cannot be read: {error.strerror}") from error
        return path
