"""What a process does when it begins and ends to serve: after the fork, where threads and connections may start."""

from collections.abc import Callable

import structlog
from flask import Flask

Hook = Callable[[], object]

_STOPPING = "worker_is_stopping"

log = structlog.get_logger(__name__)


def on_worker_start(app: Flask, hook: Hook) -> None:
    """Call `hook` once in each worker process before its first request: to fill a pool or a key cache."""
    _hooks(app, "worker_start").append(hook)


def on_worker_stop(app: Flask, hook: Hook) -> None:
    """Call `hook` once in each worker process after its last request: to close what it holds."""
    _hooks(app, "worker_stop").append(hook)


def is_stopping(app: Flask) -> bool:
    """Whether this process was told to end: an answer that would go on for long ends now."""
    told: Callable[[], bool] = app.extensions.get(_STOPPING, bool)
    return told()


def start_worker(app: Flask, is_stopping: Callable[[], bool] = bool) -> None:
    """Run the start hooks, and let `is_stopping` tell what it says (the server's part)."""
    app.extensions[_STOPPING] = is_stopping
    _run(app, "worker_start")


def stop_worker(app: Flask) -> None:
    """Run the stop hooks (the server's part)."""
    app.extensions[_STOPPING] = lambda: True
    _run(app, "worker_stop")


def _hooks(app: Flask, moment: str) -> list[Hook]:
    hooks: list[Hook] = app.extensions.setdefault(f"{moment}_hooks", [])
    return hooks


def _run(app: Flask, moment: str) -> None:
    for hook in _hooks(app, moment):
        try:
            hook()
        except Exception:
            # A neighbour that is away now may be back soon: readiness says so, a crash loop would not help.
            log.exception("worker_hook_failed", moment=moment)
