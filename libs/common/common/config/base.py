"""The settings every service shares, with the defaults that hold in all environments.

The variable of a field is its name in upper case. Defaults of one environment stand in the module of its
name beside this one (`development.py`, ...); a service has the same five modules for what is its own.
"""

import ssl
from importlib.util import find_spec
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from common.config.secret_files import insert_password
from common.db.engine import parse_url

AppEnv = Literal["development", "testing", "staging", "production"]
Port = Annotated[int, Field(ge=1, le=65535)]
DEPLOYED_ENVIRONMENTS = ("staging", "production")


class Settings(BaseModel):
    """What every process of every service knows."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    development_only: ClassVar[frozenset[str]] = frozenset()
    """Fields whose development default is an error in staging and production. Collected from all base classes."""

    app_env: AppEnv
    service_name: str = "redprint"
    release: str = "unknown"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"

    @property
    def is_deployed(self) -> bool:
        """Whether this is staging or production."""
        return self.app_env in DEPLOYED_ENVIRONMENTS


class WebSettings(Settings):
    """What a process that answers HTTP knows besides."""

    development_only: ClassVar[frozenset[str]] = frozenset({"auth_issuer"})

    host: str = "0.0.0.0"  # noqa: S104 - in a pod every interface is the pod's own; development says 127.0.0.1
    port: Port = 8080
    metrics_port: Port = 9090
    web_workers: int = Field(default=1, ge=1, le=64)
    web_threads: int = Field(default=4, ge=1, le=64)
    http_parser: Literal["auto", "fast", "python"] = "auto"
    keepalive_seconds: int = Field(default=75, ge=1)
    client_timeout_seconds: int = Field(default=15, ge=1, le=3600)
    graceful_timeout_seconds: int = Field(default=25, ge=1)
    max_requests: int = Field(default=0, ge=0)
    web_reload: bool = False
    trusted_proxies: int = Field(default=0, ge=0, le=10)
    body_limit_bytes: int = Field(default=1024 * 1024, ge=1024)
    auth_issuer: str = Field(min_length=1)

    @field_validator("metrics_port")
    @classmethod
    def _check_ports(cls, metrics_port: int, info: ValidationInfo) -> int:
        if metrics_port == info.data.get("port"):
            raise ValueError("has to be another port than PORT")
        return metrics_port

    @field_validator("web_reload")
    @classmethod
    def _check_reload(cls, reload: bool, info: ValidationInfo) -> bool:
        if reload and info.data.get("app_env") != "development":
            raise ValueError("is for development only: who asks for a page is shown the source of its errors")
        return reload

    @field_validator("http_parser")
    @classmethod
    def _check_parser(cls, parser: str) -> str:
        if parser == "fast" and find_spec("gunicorn_h1c") is None:
            raise ValueError("fast needs gunicorn[fast], which is not installed; without it every request would be 500")
        return parser

    @field_validator("auth_issuer")
    @classmethod
    def _check_issuer(cls, issuer: str, info: ValidationInfo) -> str:
        if info.data.get("app_env") in DEPLOYED_ENVIRONMENTS and not issuer.startswith("https://"):
            raise ValueError("has to be an https URL outside development (RFC 8414 section 2)")
        parts = urlsplit(issuer)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("has to be a URL with a host, without query and fragment (RFC 8414 section 2)")
        return issuer


class DatabaseSettings(Settings):
    """What a process with a database knows besides."""

    development_only: ClassVar[frozenset[str]] = frozenset({"database_url"})

    database_url: SecretStr
    db_pool_size: int = Field(default=4, ge=1, le=100)
    db_tls_ca: str | None = None

    @field_validator("database_url")
    @classmethod
    def _check_url(cls, url: SecretStr) -> SecretStr:
        finished = insert_password(url.get_secret_value())
        parse_url(finished)  # its error is a ValueError, and says what is expected
        return SecretStr(finished)

    @field_validator("db_tls_ca")
    @classmethod
    def _check_ca(cls, path: str | None) -> str | None:
        try:
            ssl.create_default_context(cafile=path)
        except OSError as error:
            raise ValueError(f"{path} is not a readable file of CA certificates ({error})") from None
        return path


class StateSettings(Settings):
    """What a process knows besides that hears of revoked sessions."""

    development_only: ClassVar[frozenset[str]] = frozenset({"state_url"})

    # Checked without being set too: where it may be missing depends on the environment.
    state_url: SecretStr | None = Field(default=None, validate_default=True)

    @field_validator("state_url")
    @classmethod
    def _check_state(cls, url: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if url is None:
            if info.data.get("app_env") != "testing":
                raise ValueError("is not set")
            return None
        if not url.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("has to be a redis://, rediss:// or unix:// URL")
        return SecretStr(insert_password(url.get_secret_value()))

    @property
    def state_address(self) -> str | None:
        """The URL with its password; None where there is none."""
        return None if self.state_url is None else self.state_url.get_secret_value()
