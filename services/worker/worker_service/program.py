"""The worker as a program: Celery's, with our logs, probes, metrics port and signals."""

import logging
import signal
import warnings
from collections.abc import Callable
from typing import Any

import structlog
from celery import bootsteps, signals
from celery.apps.worker import Worker
from celery.exceptions import CPendingDeprecationWarning, SecurityWarning
from celery.utils.log import get_multiprocessing_logger
from celery.worker.consumer import Consumer
from common.logging import configure_logging
from common.metrics import serving_metrics

from worker_service.celery_app import app, current_settings
from worker_service.probes import ProbeFile
from worker_service.stopping import current_board

log = structlog.get_logger(__name__)

# Celery's word on each message; ours on each job say more.
CHATTY_LOGGERS = ("celery.worker.strategy", "celery.app.trace")


class JobWorker(Worker):
    """A worker that takes Ctrl-C as it takes SIGTERM: one soft window, then running jobs are handed back."""

    def install_platform_tweaks(self, worker: Any) -> None:
        super().install_platform_tweaks(worker)
        signal.signal(signal.SIGINT, signal.getsignal(signal.SIGTERM))

    def wait_for_soft_shutdown(self) -> None:  # type: ignore[override] # celery's returns nothing, its stubs say bool
        """Called by the signal's handler before running jobs are thrown out."""
        current_board().begin_stop(self.app.conf.worker_soft_shutdown_timeout)


def alive_file() -> ProbeFile:
    """The file that says that this worker is alive."""
    return ProbeFile(current_settings().run_dir, "worker-alive")


class Liveness(bootsteps.StartStopStep):
    """Touches a file from the worker's own loop, each second: a loop that stands still lets it grow old."""

    requires = ("celery.worker.components:Timer",)

    def start(self, parent: Any) -> None:
        alive = alive_file()
        alive.touch()
        parent.timer.call_repeatedly(1.0, alive.touch)


class PatientConsumer(Consumer):
    """Touches that file while it waits for the broker, too: the loop stands still then, and a restart mends nothing.

    Restarted for it, all workers would be in back-off when the broker returns.
    """

    def ensure_connected(self, conn: Any) -> Any:
        connect, alive = conn.ensure_connection, alive_file()

        def connect_alive(*args: Any, callback: Callable[[], None], **kwargs: Any) -> Any:
            def wait() -> None:  # called before each second of waiting; Celery's own raises when it is time to stop
                alive.touch()
                callback()

            return connect(*args, callback=wait, **kwargs)

        conn.ensure_connection = connect_alive
        return super().ensure_connected(conn)


def run() -> int:
    """Run until told to stop; return 0 after a stop by signal, else the worker's own status."""
    settings = current_settings()
    set_up_logs()
    current_board()  # before the pool's processes are forked, which share it
    lifecycle = Lifecycle(ProbeFile(settings.run_dir, "worker-ready"))
    lifecycle.connect()
    alive_file().remove()  # of a container before this one, whose files are still there
    app.steps["worker"].add(Liveness)
    with serving_metrics(settings.metrics_port, settings.host) as server:
        signals.worker_process_init.connect(lambda **_: server.forget_in_child(), weak=False)
        worker = JobWorker(
            app=app,
            pool_cls="prefork",
            consumer_cls=PatientConsumer,
            without_gossip=True,
            without_mingle=True,
            # Nobody listens to its beats, and each waits as long as the broker is away; so would a stop.
            without_heartbeat=True,
            quiet=True,
        )
        worker.start()
    return 0 if lifecycle.is_stopping else int(worker.exitcode or 0)


def set_up_logs(**_: object) -> None:
    """Our log lines from everything, less what says nothing here."""
    configure_logging(current_settings())
    for name in CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    # By itself it writes past our log. What it says of a process that died says no job; the line of the job does.
    of_processes = get_multiprocessing_logger() or logging.getLogger("multiprocessing")
    of_processes.propagate = True
    of_processes.addFilter(as_warning)
    # As root inside a container: it accepts JSON only, so the danger this warns of (pickle) is not there.
    warnings.simplefilter("ignore", SecurityWarning)
    # Said at each lost connection, about the setting that was chosen on purpose.
    warnings.simplefilter("ignore", CPendingDeprecationWarning)


def as_warning(record: logging.LogRecord) -> bool:
    """Let an error count for no more than a warning."""
    if record.levelno > logging.WARNING:
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


class Lifecycle:
    """What happens when the worker and its processes start and stop."""

    def __init__(self, ready: ProbeFile) -> None:
        self.is_stopping = False
        self._ready = ready

    def connect(self) -> None:
        """Listen to Celery's signals."""
        self._ready.remove()
        signals.setup_logging.connect(set_up_logs, weak=False)
        signals.worker_ready.connect(self._become_ready, weak=False)
        signals.worker_shutting_down.connect(self._begin_stop, weak=False)

    def _become_ready(self, **_: object) -> None:
        self._ready.touch()
        log.info("worker_ready")

    def _begin_stop(self, **_: object) -> None:
        self.is_stopping = True
        self._ready.remove()
