"""A verifier's view of the issuer's published keys, kept fresh by one background thread per process."""

import math
import random
import time
from collections.abc import Callable
from threading import Condition, Lock, Thread
from types import MappingProxyType

import structlog
from prometheus_client import Counter, Gauge

from common.after_fork import call_after_fork
from common.jwt.errors import KeyPolicyError
from common.jwt.jwks import KeyMap, parse_jwks
from common.jwt.jwks_fetch import FetchError, check_url, fetch_document
from common.jwt.keys import VerifyingKey

REFRESH_SECONDS = 60.0
JITTER = 0.1  # of the pause, so that replicas do not ask in step
FIRST_LOAD_RETRY_SECONDS = 0.5  # an issuer that starts beside us is up soon
REFETCH_SECONDS = 10.0  # strangers choose the kid of a token, so unknown ones may not ask more often
WAIT_SECONDS = 0.5
HINT_SECONDS = 1.0  # between two refreshes that were hinted at
HINT_SPREAD_SECONDS = 0.5  # all processes get a hint at the same moment
KID_LENGTH = 43  # of a thumbprint, which every kid is
MAX_UNKNOWN_KIDS = 1024
STALE_SECONDS = 24 * 3600.0
TIMEOUT_SECONDS = 2.0

log = structlog.get_logger(__name__)

# With a label, because without one a process would show the year 1970 before it asks for the first time, and the
# master of gunicorn, which never asks, for ever.
confirmed = Gauge(
    "jwks_confirmed_timestamp_seconds",
    "When the issuer last confirmed the keys a process verifies with, or it took bundled ones; the oldest of all.",
    ["url"],
    multiprocess_mode="livemin",
)
refreshes = Counter(
    "jwks_refreshes", "Requests for the issuer's keys, by outcome: loaded, unchanged or failed.", ["outcome"]
)


class JWKSCache:
    """A KeySource that asks `url` every REFRESH_SECONDS, never in the way of a request with a known key.

    Unknown `kid`s wake the refresher at most once per REFETCH_SECONDS between them all, and wait for it at
    most WAIT_SECONDS; one that the issuer has just denied to know is not asked for again so soon. While the
    issuer does not answer, or publishes a set against the key policy, the last good set stays for STALE_SECONDS.
    The thread starts at first use in each process, so after a fork. `bundled`, a set known beforehand, serves until
    the issuer has answered; raises KeyPolicyError if it is none.
    """

    _hint_due_at: float
    _refresh_begun_at: float

    def __init__(
        self,
        url: str,
        *,
        refresh_seconds: float = REFRESH_SECONDS,
        refetch_seconds: float = REFETCH_SECONDS,
        stale_seconds: float = STALE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        bundled: bytes | None = None,
    ) -> None:
        self._url = check_url(url)
        self._refresh_seconds = refresh_seconds
        self._refetch_seconds = refetch_seconds
        self._stale_seconds = stale_seconds
        self._monotonic = monotonic
        self._keys: KeyMap = MappingProxyType({}) if bundled is None else parse_jwks(bundled)
        self._etag: str | None = None
        self._loaded_at: float | None = None if bundled is None else monotonic()
        self._last_failure: str | None = None
        self._is_closed = False
        self._forget_thread()
        call_after_fork(self._forget_thread)

    def get(self, kid: str) -> VerifyingKey | None:
        if self._thread is None:
            self._start_thread()
        key = self._keys.get(kid)
        if key is None and len(kid) == KID_LENGTH:
            self._await_refresh(kid)
            key = self._keys.get(kid)
        return key

    def refresh_soon(self) -> None:
        """Take a hint that the keys changed: ask within about a second, once per second at most. Never waits."""
        with self._changed:
            if self._hint_due_at < math.inf:
                return  # many hints must not put off the request they are for
            spread_seconds = random.uniform(0, HINT_SPREAD_SECONDS)  # noqa: S311 - guards nothing
            self._hint_due_at = max(self._monotonic() + spread_seconds, self._refresh_begun_at + HINT_SECONDS)
            self._changed.notify_all()

    def warm(self, timeout_seconds: float = TIMEOUT_SECONDS) -> bool:
        """Start the thread, wait for the keys at most so long, and return whether they are there.

        Without them every token is refused: readiness should ask `is_loaded`.
        """
        if self._thread is None:
            self._start_thread()
        with self._changed:
            self._changed.wait_for(lambda: self.is_loaded, timeout=timeout_seconds)
        return self.is_loaded

    @property
    def is_loaded(self) -> bool:
        """Whether there are keys to judge tokens by: not before the first set, nor once one became too old."""
        return bool(self._keys)

    @property
    def age_seconds(self) -> float | None:
        """Seconds since the issuer last confirmed the keys, or a bundled set was taken; None before that."""
        return None if self._loaded_at is None else self._monotonic() - self._loaded_at

    def close(self) -> None:
        """Stop the thread; the keys at hand stay usable."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(TIMEOUT_SECONDS)

    def refresh(self) -> bool:
        """Ask the issuer now, in this thread; return whether it confirmed or replaced the keys. Never raises."""
        with self._fetching:
            try:
                etag = self._fetch()
            except (FetchError, KeyPolicyError) as error:
                self._note_failure(str(error))
                return False
            except Exception as error:
                # The thread must outlive surprises: without it a withdrawn key would stay valid.
                log.exception("jwks_refresh_crashed")
                self._note_failure(type(error).__name__)
                return False
            self._note_success(etag)
            return True

    def _fetch(self) -> str | None:
        """Take over what the issuer publishes and return its tag."""
        fetched = fetch_document(self._url, self._etag, TIMEOUT_SECONDS)
        if fetched.document is not None:
            self._keys = parse_jwks(fetched.document)
            self._unknown_kids.clear()
        refreshes.labels("unchanged" if fetched.document is None else "loaded").inc()
        return fetched.etag

    def _await_refresh(self, kid: str) -> None:
        """Wait until WAIT_SECONDS after the start of a refresh, which may have been started by another token."""
        with self._changed:
            now = self._monotonic()
            if now < self._unknown_kids.get(kid, now):
                return
            if not self._is_refreshing:
                if now < self._refresh_allowed_at or self._is_closed:
                    return  # not asked, so nothing is known about this kid that would be worth remembering
                self._begin_refresh()
            attempts, successes = self._attempts, self._successes
            left_seconds = self._refresh_begun_at + WAIT_SECONDS - now
            self._changed.wait_for(lambda: self._attempts > attempts, timeout=max(0.0, left_seconds))
            if self._successes > successes and kid not in self._keys:
                self._remember_unknown(kid, self._refresh_begun_at + self._refetch_seconds)

    def _remember_unknown(self, kid: str, until: float) -> None:
        """Note what the issuer does not know; strangers choose the kids, so all are forgotten when they are many."""
        if len(self._unknown_kids) >= MAX_UNKNOWN_KIDS:
            self._unknown_kids.clear()
        self._unknown_kids[kid] = until

    def _note_success(self, etag: str | None) -> None:
        if self._last_failure is not None or not self._successes:
            log.info("jwks_loaded", kids=sorted(self._keys))
        self._etag = etag
        self._loaded_at = self._monotonic()
        self._last_failure = None
        self._successes += 1
        confirmed.labels(self._url.geturl()).set_to_current_time()

    def _note_failure(self, reason: str) -> None:
        refreshes.labels("failed").inc()
        if reason != self._last_failure:  # once per outage, not once per attempt
            log.warning("jwks_refresh_failed", url=self._url.geturl(), reason=reason)
        self._last_failure = reason
        age_seconds = self.age_seconds
        if age_seconds is not None and age_seconds > self._stale_seconds:
            self._keys = MappingProxyType({})
            self._etag = None

    def _forget_thread(self) -> None:
        self._changed = Condition()
        self._fetching = Lock()
        self._thread: Thread | None = None
        self._attempts = 0
        self._successes = 0
        self._unknown_kids: dict[str, float] = {}
        self._hint_due_at = math.inf
        self._is_refreshing = False
        self._refresh_begun_at = 0.0
        self._refresh_allowed_at = 0.0

    def _start_thread(self) -> None:
        with self._changed:
            if self._thread is not None or self._is_closed:
                return
            self._begin_refresh()
            age_seconds = self.age_seconds
            if (
                age_seconds is not None
            ):  # a bundled set; without a series nobody would be told that it is never confirmed
                confirmed.labels(self._url.geturl()).set(time.time() - age_seconds)
            thread = Thread(target=self._run, name="jwks-refresher", daemon=True)
            thread.start()  # may fail, and is tried again by the next caller then
            self._thread = thread

    def _begin_refresh(self) -> None:
        """Mark a refresh as under way and wake the thread; call with the lock held."""
        self._is_refreshing = True
        self._refresh_begun_at = self._monotonic()
        self._hint_due_at = math.inf
        self._refresh_allowed_at = self._refresh_begun_at + self._refetch_seconds
        self._changed.notify_all()

    def _run(self) -> None:
        while self._await_turn():
            self.refresh()
            with self._changed:
                self._is_refreshing = False
                self._attempts += 1
                self._changed.notify_all()

    def _await_turn(self) -> bool:
        """Wait until the pause is over, a token asks or a hint is due; return False when closed."""
        with self._changed:
            due_at = self._monotonic() + self._pause_seconds()
            while not self._is_refreshing and not self._is_closed:
                left_seconds = min(due_at, self._hint_due_at) - self._monotonic()
                if left_seconds <= 0:
                    self._begin_refresh()
                else:
                    self._changed.wait(left_seconds)
            return not self._is_closed

    def _pause_seconds(self) -> float:
        pause = self._refresh_seconds if self.is_loaded else FIRST_LOAD_RETRY_SECONDS
        return pause * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, guards nothing
