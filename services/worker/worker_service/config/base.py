"""What worker and dispatcher know, and what the worker knows besides; the README's table says what each is for."""

import tempfile
from pathlib import Path
from typing import Annotated, ClassVar

from common.config import Settings, insert_password
from common.config.base import Port
from jobs.files import check_job_files
from jobs.kinds import BULK_QUEUE, DEFAULT_QUEUE
from jobs.stores import parse_stores, read_stores
from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

HEARTBEATS_IN_A_LEASE = 3


class JobSettings(Settings):
    """Durations in seconds."""

    development_only: ClassVar[frozenset[str]] = frozenset({"broker_url", "job_stores"})

    host: str = "0.0.0.0"  # noqa: S104 - in a pod every interface is the pod's own; development says 127.0.0.1
    metrics_port: Port = 9090
    broker_url: SecretStr
    job_stores: SecretStr
    db_pool_size: int = Field(default=3, ge=2, le=100)
    db_tls_ca: str | None = None
    job_files: Annotated[str, AfterValidator(check_job_files)] = "database"
    run_dir: Path = Path(tempfile.gettempdir()) / "redprint"

    @field_validator("job_stores")
    @classmethod
    def _check_stores(cls, stores: SecretStr) -> SecretStr:
        finished = read_stores(stores.get_secret_value())
        return SecretStr(",".join(f"{name}={url}" for name, url in finished.items()))

    @field_validator("broker_url")
    @classmethod
    def _check_broker(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(("redis://", "rediss://", "redis+socket://")):
            raise ValueError("has to be a redis://, rediss:// or redis+socket:// URL")
        return SecretStr(insert_password(url.get_secret_value()))

    @property
    def store_urls(self) -> dict[str, str]:
        """Database URLs by the name of the store."""
        return parse_stores(self.job_stores.get_secret_value())


class WorkerSettings(JobSettings):
    """What the process that runs jobs knows."""

    worker_concurrency: int = Field(default=2, ge=1, le=64)
    worker_queues: tuple[str, ...] = (DEFAULT_QUEUE, BULK_QUEUE)
    worker_soft_shutdown_seconds: float = Field(default=30, ge=0)
    job_lease_seconds: float = Field(default=30, ge=2)
    job_heartbeat_seconds: float | None = Field(default=None, gt=0)

    @property
    def heartbeat_seconds(self) -> float:
        """The pause between two renewals of a lease."""
        return self.job_heartbeat_seconds or self.job_lease_seconds / HEARTBEATS_IN_A_LEASE

    @model_validator(mode="after")
    def _check_heartbeat(self) -> "WorkerSettings":
        if self.heartbeat_seconds > self.job_lease_seconds / 2:
            raise ValueError("JOB_HEARTBEAT_SECONDS has to be at most half of JOB_LEASE_SECONDS")
        return self
