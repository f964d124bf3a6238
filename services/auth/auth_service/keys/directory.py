"""The keys of this service while it runs: read again when the directory changes, and never replaced by worse ones."""

from collections.abc import Callable
from pathlib import Path
from threading import Lock

import structlog
from common.background import BackgroundLoop
from common.clock import Clock, utc_now
from common.jwt import SigningKey, VerifyingKey
from prometheus_client import Counter, Gauge

from auth_service.keys.errors import KeyFileError
from auth_service.keys.key_set import KeySet, read_key_set
from auth_service.keys.mounted import Fingerprint, fingerprint, resolve
from auth_service.keys.refresh import RefreshKey

POLL_SECONDS = 15.0
_READ_ATTEMPTS = 3  # of a directory that changes while it is read

log = structlog.get_logger(__name__)

reload_failed = Gauge(
    "signing_keys_reload_failed",
    "1 while the key directory is at fault and the keys read before stay in use.",
    multiprocess_mode="livemax",
)
reloads = Counter("signing_key_reloads", "Readings of a changed key directory, by outcome.", ["outcome"])


class KeyDirectory:
    """Finds keys by name and by moment; a `KeySource` and a `SigningKeySource`.

    Once started it looks at the directory every `poll_seconds`. A set with any fault in it is refused whole: the last
    good one stays, which is logged once and shown by `signing_keys_reload_failed`. What keys do is decided by the clock
    at each call, so replicas that have read the same directory change keys in the same moment.
    Raises KeyFileError when made on a directory that cannot be used.
    """

    def __init__(self, path: Path, clock: Clock = utc_now, poll_seconds: float = POLL_SECONDS) -> None:
        self._path = path
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._reading = Lock()
        self._fault: str | None = None
        self._callbacks: list[Callable[[], object]] = []
        self._watching = BackgroundLoop("key-directory", self._look)
        self._seen, self._keys = self._read()

    def get(self, kid: str) -> VerifyingKey | None:
        """The public key of that name, unless it is retired or unknown."""
        found = self._keys.by_kid.get(kid)
        if found is None:
            return None
        key, retires_at = found
        return key if retires_at is None or self._clock() < retires_at else None

    def active_signing_key(self) -> SigningKey:
        """The key that signs at this moment."""
        return self._keys.active_signing_key(self._clock())

    def published_keys(self) -> tuple[VerifyingKey, ...]:
        """The pending, active and retiring keys, in the order of their use."""
        return self._keys.published(self._clock())

    def refresh_key(self) -> RefreshKey:
        """The key that new refresh tokens are derived with at this moment."""
        return self._keys.active_refresh_key(self._clock())

    def find_refresh_key(self, version: int) -> RefreshKey | None:
        """The refresh key of a version, in use or not; None once it was taken away."""
        return self._keys.by_version.get(version)

    def on_change(self, callback: Callable[[], object]) -> None:
        """Call back, in the watching thread, whenever files changed which keys are published."""
        self._callbacks.append(callback)

    def start(self) -> None:
        """Watch the directory from now on, in a thread of this process: call it after a fork."""
        self._watching.start()

    def stop(self) -> None:
        """End the thread; the keys at hand stay usable."""
        self._watching.stop()

    def reload_if_changed(self) -> bool:
        """Read the directory if it changed, or was at fault; return whether the keys were replaced. Never raises."""
        with self._reading:
            if self._fault is None and fingerprint(self._path) == self._seen:
                return False
            try:
                self._seen, keys = self._read()
            except KeyFileError as error:
                self._note_fault(str(error))
                return False
            except Exception as error:
                # The thread must outlive surprises: without it no key would ever change again.
                log.exception("signing_keys_reload_crashed")
                self._note_fault(type(error).__name__)
                return False
            self._replace(keys)
            return True

    def _look(self) -> float:
        """At the start too: the application may have been loaded long before this process was forked."""
        self.reload_if_changed()
        return self._poll_seconds

    def _read(self) -> tuple[Fingerprint, KeySet]:
        """Read one version of the directory: what changes meanwhile is read again."""
        for attempts_left in reversed(range(_READ_ATTEMPTS)):
            seen = fingerprint(self._path)
            try:
                keys = read_key_set(resolve(self._path), self._clock())
            except KeyFileError:
                if not attempts_left or fingerprint(self._path) == seen:
                    raise
            else:
                if not attempts_left or fingerprint(self._path) == seen:
                    return seen, keys
        raise AssertionError("the last attempt returns or raises")

    def _replace(self, keys: KeySet) -> None:
        before, self._keys = self._keys, keys
        if self._fault is not None:
            log.info("signing_keys_reload_recovered")
        self._fault = None
        reload_failed.set(0)
        reloads.labels("loaded").inc()
        now = self._clock()
        published = {key.kid for key in keys.published(now)}
        if published != {key.kid for key in before.published(now)}:
            log.info("signing_keys_changed", kids=sorted(published), active=keys.active_signing_key(now).kid)
            self._call_back()

    def _note_fault(self, reason: str) -> None:
        reload_failed.set(1)
        reloads.labels("failed").inc()
        if reason != self._fault:  # once per fault, not once per look
            log.error("signing_keys_reload_failed", reason=reason)
        self._fault = reason

    def _call_back(self) -> None:
        for callback in self._callbacks:
            try:
                callback()
            except Exception:
                log.exception("signing_keys_callback_failed")
