"""gunicorn as both web services run it: `gunicorn -c python:common.gunicorn_conf auth_service.wsgi:app`.

The names in lower case are gunicorn's settings and hooks; the values are the service's own settings. Their defaults
were chosen by measurement: one process per CPU with four threads, on one shared listener. `reuse_port` balances
better and loses requests whenever a worker goes; more threads or workers than that are slower.
"""

import gc
import os
import signal
import socket
import struct
import sys
from typing import Any

from flask import Flask
from gunicorn import glogging  # type: ignore[import-untyped] # ships no types

from common.config import load_settings_or_exit
from common.config.discovery import find_settings_class
from common.logging import configure_logging
from common.metrics_dir import VARIABLE as METRICS_DIR_VARIABLE
from common.metrics_dir import prepare_metrics_dir

_named_metrics_dir = os.environ.get(METRICS_DIR_VARIABLE)
_metrics_dir = prepare_metrics_dir()

# Only now: prometheus_client looks for the directory when it is imported, which a service's modules may do.
from common.metrics import MetricsServer, forget_process  # noqa: E402
from common.web.lifecycle import start_worker, stop_worker  # noqa: E402
from common.web.reloading import LoadedFiles, Watcher, restart_master  # noqa: E402

_settings = load_settings_or_exit(find_settings_class(sys.argv))
configure_logging(_settings)
_loaded = Watcher.loaded_by_master = LoadedFiles()
_metrics_server: MetricsServer | None = None


class GunicornLogger(glogging.Logger):  # type: ignore[misc] # its base is untyped
    """gunicorn's logger with its own handlers taken off, so that its lines look like all others."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True

    def exception(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Log a failure; a client that stalled or vanished in the middle of a request is none of ours."""
        if isinstance(sys.exc_info()[1], BlockingIOError | TimeoutError):
            self.info("A client stalled for CLIENT_TIMEOUT_SECONDS and was given up.")
        else:
            super().exception(msg, *args, **kwargs)


bind = f"[{_settings.host}]:{_settings.port}" if ":" in _settings.host else f"{_settings.host}:{_settings.port}"
worker_class = "common.gunicorn_worker.ServiceWorker"
workers = _settings.web_workers
threads = _settings.web_threads
# The application is loaded before anything listens: a bad setting ends the process with its own status, and
# further workers share the master's memory. Nothing opens a connection or starts a thread on import. To be reloaded, it
# has to be loaded by the workers, which end when a file changes and are replaced.
preload_app = not _settings.web_reload
reload = _settings.web_reload
reload_engine = Watcher.ENGINE
http_parser = _settings.http_parser
keepalive = _settings.keepalive_seconds
graceful_timeout = _settings.graceful_timeout_seconds
max_requests = _settings.max_requests
max_requests_jitter = _settings.max_requests // 10
accesslog = None  # the application writes a line a request, with its ids
logger_class = GunicornLogger
loglevel = _settings.log_level
control_socket_disable = True  # its file would need a writable home
# The heartbeat file: on a disk that stalls, a healthy worker would miss its beat and be killed.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - memory, not a shared name


def on_starting(_server: Any) -> None:
    """Serve the metrics of all workers from the master, which outlives them."""
    global _metrics_server  # noqa: PLW0603 - gunicorn's hooks are module functions and share nothing else
    try:
        _metrics_server = MetricsServer(_settings.metrics_port, _settings.host)
    except OSError as error:
        sys.exit(
            f"METRICS_PORT {_settings.metrics_port} of HOST {_settings.host} cannot be used: {error.strerror}. "
            "Free it or choose another."
        )


def when_ready(server: Any) -> None:
    """Bound how long a client may keep a thread waiting: connections inherit the limits of the listener."""
    limit = struct.pack("ll", _settings.client_timeout_seconds, 0)
    for listener in server.LISTENERS:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def pre_fork(_server: Any, _worker: Any) -> None:
    """Keep the collector away from what was loaded: touching it would copy the pages a worker shares."""
    gc.freeze()


def post_fork(_server: Any, _worker: Any) -> None:
    """Let go of the metrics port: a worker would hold it past the master's end."""
    if _metrics_server is not None:
        _metrics_server.forget_in_child()


def post_worker_init(worker: Any) -> None:
    """Run what waits for a worker's own process: threads and connections."""
    if isinstance(worker.wsgi, Flask):  # and not what stands in for one that could not be reloaded
        start_worker(worker.wsgi, lambda: not worker.alive)


def worker_exit(_server: Any, worker: Any) -> None:
    """Run what a worker's end asks for."""
    if worker.booted and isinstance(worker.wsgi, Flask):
        stop_worker(worker.wsgi)


def child_exit(server: Any, worker: Any) -> None:
    """Drop the gauges of a worker that is gone; its counts stay. What only a new master can load makes one."""
    forget_process(worker.pid)
    # Without listeners the server is about to end.
    if _settings.web_reload and server.LISTENERS and _loaded.changed():
        server.kill_workers(signal.SIGKILL)
        for listener in server.LISTENERS:
            listener.close()  # gunicorn lets new programs inherit it
        on_exit(server)
        if _named_metrics_dir is None:
            del os.environ[METRICS_DIR_VARIABLE]
        restart_master(None if _named_metrics_dir else _metrics_dir)


def on_exit(_server: Any) -> None:
    """Free the metrics port."""
    if _metrics_server is not None:
        _metrics_server.close()
