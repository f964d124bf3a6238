"""Three questions to a process: is it alive, can it serve, which release is it.

Alive never asks a neighbour: a database that is away must not restart every pod.
"""

from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from threading import Lock
from time import monotonic

import structlog
from flask import Blueprint, Flask, current_app

from common.access import public
from common.config import Settings
from common.errors import DomainError
from common.redprint import Redprint
from common.web.shapes import View

CHECK_EVERY_SECONDS = 1.5  # the probes of several kubelets and balancers cost one look between them
MAX_AGE_SECONDS = 10.0  # an older answer is none: the check hangs

Check = Callable[[], bool]

log = structlog.get_logger(__name__)
probes = Redprint("health", with_prefix=False)


class NotReady(DomainError):
    """This process cannot serve now; the text names the checks that say so."""

    retry_after_seconds = 2


class Alive(View):
    """The process runs."""

    status: str = "alive"


class Ready(View):
    """The process can serve."""

    status: str = "ready"


class Version(View):
    """What runs: the service, its package's version, and the release it was built as."""

    service: str
    version: str
    release: str


class Readiness:
    """Runs the checks at most every CHECK_EVERY_SECONDS, one caller at a time; the others get the last answer."""

    def __init__(self, checks: Mapping[str, Check], clock: Callable[[], float] = monotonic) -> None:
        self._checks = checks
        self._clock = clock
        self._lock = Lock()
        self._checked_at = float("-inf")
        self._failing: list[str] = []

    def failing(self) -> list[str]:
        """Return the names of the checks that fail; every name while no answer is recent enough."""
        if self._clock() - self._checked_at >= CHECK_EVERY_SECONDS and self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()
        if self._clock() - self._checked_at > MAX_AGE_SECONDS:
            return list(self._checks)
        return self._failing

    def _look(self) -> None:
        failing = [name for name, check in self._checks.items() if not _passes(name, check)]
        if failing != self._failing:
            # What asks sees a 503 at most, and keeps its body to itself.
            log.warning("readiness_changed", failing=failing)
        self._failing = failing
        self._checked_at = self._clock()


def install_health(app: Flask, settings: Settings, checks: Mapping[str, Check]) -> None:
    """Serve `/livez`, `/readyz` and `/version`. A check returns whether its part is ready, or raises."""
    app.extensions["readiness"] = Readiness(checks)
    app.extensions["version"] = Version(
        service=settings.service_name, version=_package_version(settings.service_name), release=settings.release
    )
    blueprint = Blueprint("ops", __name__)
    probes.register(blueprint)
    app.register_blueprint(blueprint)


@probes.get("/livez", access=public, response=Alive)
def show_alive() -> Alive:
    """Say that this process runs."""
    return Alive()


@probes.get("/readyz", access=public, response=Ready)
def show_ready() -> Ready:
    """Say whether this process can serve; 503 names what is missing."""
    readiness: Readiness = current_app.extensions["readiness"]
    if failing := readiness.failing():
        raise NotReady(f"Not ready: {', '.join(failing)}.")
    return Ready()


@probes.get("/version", access=public, response=Version)
def show_version() -> Version:
    """Say which release this is."""
    found: Version = current_app.extensions["version"]
    return found


def _passes(name: str, check: Check) -> bool:
    try:
        return check()
    except Exception:
        log.exception("readiness_check_failed", check=name)
        return False


def _package_version(service_name: str) -> str:
    try:
        return version(f"redprint-{service_name}")
    except PackageNotFoundError:
        return "unknown"
