"""A message as the worker's main process holds it while another process runs its job."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery.worker.request import Request
from structlog.contextvars import bound_contextvars


class JobMessage(Request):
    """What Celery says of a process that died, or was ended for its time, names the job it had."""

    def on_failure(self, *args: Any, **kwargs: Any) -> Any:
        with self._named():
            return super().on_failure(*args, **kwargs)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        with self._named():
            super().on_timeout(soft, timeout)

    @contextmanager
    def _named(self) -> Iterator[None]:
        with bound_contextvars(**dict(zip(("store", "job_id"), self.args, strict=False))):
            yield
