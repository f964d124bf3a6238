"""The Celery application: one task, which hands the message to the runner of its process."""

from functools import cache, partial
from uuid import UUID

from billiard.process import current_process
from celery import Celery
from common.config import load_settings_or_exit
from jobs.broker import add_run_task, worker_settings
from jobs.files import make_file_store
from jobs.keeper import Timing
from jobs.runner import Runner
from jobs.states import Outcome

from worker_service.config import WorkerSettings
from worker_service.stopping import current_board
from worker_service.stores import open_stores
from worker_service.tasks import make_registry


@cache
def current_settings() -> WorkerSettings:
    """The settings of this process, read when first asked for."""
    return load_settings_or_exit(WorkerSettings)


@cache
def current_runner() -> Runner:
    """The runner of this process. Made by the first job, so after the fork: no two processes share a connection."""
    settings = current_settings()
    timing = Timing(settings.job_lease_seconds, settings.heartbeat_seconds)
    return Runner(
        open_stores(settings),
        make_registry(),
        timing,
        is_stopping=lambda: current_board().is_stopping,
        files=partial(make_file_store, settings.job_files),
    )


def run_job(store: str, job_id: UUID) -> Outcome | None:
    """Run one job in this process."""
    with current_board().running(getattr(current_process(), "index", 0)):
        return current_runner().run(store, job_id)


def read_celery_settings() -> dict[str, object]:
    """Celery's settings, read when it first needs one of them."""
    settings = current_settings()
    jobs = worker_settings(
        settings.broker_url.get_secret_value(),
        settings.store_urls,
        settings.worker_queues,
        concurrency=settings.worker_concurrency,
        longest_hard_limit_seconds=make_registry().longest_hard_limit_seconds,
    )
    return {
        **jobs,
        "worker_soft_shutdown_timeout": settings.worker_soft_shutdown_seconds,
    }


app = Celery("worker_service")
app.add_defaults(read_celery_settings)
add_run_task(app, run_job)
