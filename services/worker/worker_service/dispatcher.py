"""Hands out jobs: `python -m worker_service.dispatcher`. Any number of them may run; each stops at once when told."""

import signal
import threading
import time
from collections.abc import Sequence

import structlog
from celery import Celery
from common.config import load_settings_or_exit
from common.logging import configure_logging
from common.metrics import serving_metrics
from jobs.broker import CeleryPublisher, publisher_settings
from jobs.dispatcher import Pace, StoreDispatcher
from jobs.files import make_file_store

from worker_service.config import DispatcherSettings
from worker_service.probes import ProbeFile
from worker_service.schedules import SCHEDULES
from worker_service.stores import open_stores
from worker_service.upkeep import UPKEEP

log = structlog.get_logger(__name__)

WATCH_SECONDS = 1.0
HANGS_AFTER_SECONDS = 60.0


def main() -> int:
    """Run until told to stop; return 0 then, 1 if a store's thread died of a fault."""
    settings = load_settings_or_exit(DispatcherSettings)
    configure_logging(settings)
    stop = threading.Event()
    _stop_on_signals(stop)
    dispatchers = make_dispatchers(settings, stop)
    with serving_metrics(settings.metrics_port, settings.host):
        return run(dispatchers, stop, ProbeFile(settings.run_dir, "dispatcher-alive"))


def make_dispatchers(settings: DispatcherSettings, stop: threading.Event) -> list[StoreDispatcher]:
    """One for each store, so that a database that does not answer holds up no other."""
    stores = open_stores(settings)
    app = Celery("worker_service_dispatcher")
    app.conf.update(publisher_settings(settings.broker_url.get_secret_value()))
    publisher = CeleryPublisher(app)
    pace = Pace(redispatch_seconds=settings.dispatcher_redispatch_seconds)
    return [
        StoreDispatcher(
            store,
            stores.database(store),
            publisher,
            pace,
            stop,
            schedules=SCHEDULES,
            retention=settings.retention,
            pieces=make_file_store(settings.job_files, store).pieces,
            upkeep=UPKEEP,
        )
        for store in stores
    ]


def run(dispatchers: Sequence[StoreDispatcher], stop: threading.Event, alive: ProbeFile) -> int:
    """Run each dispatcher in a thread and keep the probe's file young while all of them make their rounds."""
    threads = [threading.Thread(target=dispatcher.run, daemon=True) for dispatcher in dispatchers]
    for thread in threads:
        thread.start()
    log.info("dispatcher_ready", stores=len(threads))
    while all(thread.is_alive() for thread in threads) and not stop.is_set():
        if all(time.monotonic() - each.last_round_at < HANGS_AFTER_SECONDS for each in dispatchers):
            alive.touch()
        stop.wait(WATCH_SECONDS)
    died = not stop.is_set()
    stop.set()
    for thread in threads:
        thread.join(timeout=WATCH_SECONDS)
    return int(died)


def _stop_on_signals(stop: threading.Event) -> None:
    def handle(signum: int, _frame: object) -> None:
        stop.set()

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, handle)


if __name__ == "__main__":
    raise SystemExit(main())
