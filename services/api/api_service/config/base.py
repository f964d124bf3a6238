"""What the api service knows beyond what every web service does, with the defaults of all environments."""

from typing import ClassVar

from common.config import DatabaseSettings, WebSettings
from pydantic import Field

MIB = 1024 * 1024


class APISettings(WebSettings, DatabaseSettings):
    """The README's table says what each is for."""

    development_only: ClassVar[frozenset[str]] = frozenset({"auth_jwks_url"})

    auth_jwks_url: str = Field(min_length=1)
    import_max_bytes: int = Field(default=100 * MIB, ge=1024)
