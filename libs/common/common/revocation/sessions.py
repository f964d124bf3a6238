"""The revoked sessions as one process knows them: a table, and the thread that keeps it up to date."""

import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from uuid import UUID

import structlog
from redis import Redis, RedisError

from common.after_fork import call_after_fork
from common.background import BackgroundLoop
from common.clock import Clock, utc_now
from common.revocation import metrics
from common.revocation.connection import connect
from common.revocation.stream import KEYS_CHANGED, WINDOW_SECONDS, StreamReader
from common.revocation.table import RevocationTable

STALE_SECONDS = 30.0
BLOCK_SECONDS = 2.0  # each answer, also an empty one, confirms what is known
ANSWER_SECONDS = 2.0  # the server may take on top of that
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 3.0
PURGE_SECONDS = 30.0

log = structlog.get_logger(__name__)


class RevokedSessions:
    """A `Revocations` fed by the stream at `url`, and by whoever in this process knows better.

    `start` belongs after the fork. While the server cannot be reached the table keeps what it holds and its age grows;
    past `stale_seconds` it is not fresh any more. None as `url` means that nothing comes by a stream.
    """

    def __init__(
        self,
        url: str | None,
        *,
        stale_seconds: float = STALE_SECONDS,
        block_seconds: float = BLOCK_SECONDS,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._stale_seconds = stale_seconds
        self._block_seconds = block_seconds
        self._clock = clock
        self._monotonic = monotonic
        self._table = RevocationTable()
        self._revoked = self._table.sessions
        self._reader = StreamReader(block_seconds)
        self._client: Redis | None = None
        self._confirmed_at: float | None = None
        self._purged_at = monotonic()
        self._failures = 0
        self._keys_changed: list[Callable[[], object]] = []
        self._caught_up: list[Callable[[], object]] = []
        self._broken_epoch: list[Callable[[str], object]] = []
        self._loop = BackgroundLoop("revocations", self._step, wake=self._disconnect)
        call_after_fork(self._forget_parents_thread)

    def is_revoked(self, sid: UUID) -> bool:
        return sid in self._revoked

    def is_fresh(self) -> bool:
        age_seconds = self.age_seconds
        return age_seconds is not None and age_seconds <= self._stale_seconds

    @property
    def age_seconds(self) -> float | None:
        """Seconds since every session revoked till then was known; None before the first time."""
        return None if self._confirmed_at is None else self._monotonic() - self._confirmed_at

    @property
    def is_listening(self) -> bool:
        """Whether the stream was read to its end, and the next look at it has not failed."""
        return self._failures == 0 and self._reader.at_end

    @property
    def stream_is_vouched_for(self) -> bool:
        """Whether somebody has said that the stream holds all there is to know."""
        return self._reader.epoch is not None

    @property
    def stream_generation(self) -> int:
        """Another number than before if the stream may have lost what it held then."""
        return self._reader.generation

    def add(self, session_ids: Collection[UUID]) -> None:
        """Know that these sessions were revoked just now."""
        expires_at = int(self._clock().timestamp()) + WINDOW_SECONDS
        self.learn(dict.fromkeys(session_ids, expires_at))

    def learn(self, expiries: Mapping[UUID, int]) -> None:
        """Know that these sessions were revoked, each until the second from which on no token of it can be valid."""
        self._table.add(expiries, in_stream=False)
        self._purge()

    def expect(self, source: str) -> None:
        """`source` is asked from now on. Until it answers this moment counts: a missing series raises no alarm."""
        metrics.confirmed.labels(source).set(self._clock().timestamp())

    def confirm(self, source: str) -> None:
        """Every session revoked until now is known, because `source` said so."""
        self._confirmed_at = self._monotonic()
        metrics.confirmed.labels(source).set(self._clock().timestamp())

    def absent_from_stream(self, expiries: Mapping[UUID, int]) -> dict[UUID, int]:
        """Return those of these sessions that the stream has not told this process."""
        return self._table.absent_from_stream(expiries)

    def on_keys_changed(self, callback: Callable[[], object]) -> None:
        """Call `callback`, in the thread that listens, whenever the issuer says that a key was withdrawn."""
        self._keys_changed.append(callback)

    def on_caught_up(self, callback: Callable[[], object]) -> None:
        """Call `callback`, in the thread that listens, when the stream's end is reached after a start or an outage."""
        self._caught_up.append(callback)

    def on_broken_epoch(self, callback: Callable[[str], object]) -> None:
        """Call `callback`, in the thread that listens, with the epoch of a stream which something is gone from."""
        self._broken_epoch.append(callback)

    def start(self) -> None:
        """Begin to listen, in this process."""
        if self._url is not None:
            self.expect("stream")
            self._loop.start()

    def stop(self) -> None:
        """Stop listening; what is known stays."""
        self._loop.stop()

    def _step(self) -> float:
        """Look at the stream once; return how long to pause before the next look."""
        was_at_end = self._reader.at_end
        try:
            self._listen()
        except (RedisError, OSError) as error:
            return self._note_failure(error)
        if self._failures:
            log.info("revocations_heard_again")
        self._failures = 0
        if self._reader.at_end and not was_at_end:
            _call_each(self._caught_up)
        return 0

    def _listen(self) -> None:
        if self._client is None:
            self._client = connect(self._url or "", timeout_seconds=self._block_seconds + ANSWER_SECONDS)
        generation = self._reader.generation
        batch = self._reader.read(self._client)
        if self._reader.generation != generation:
            self._table.forget_stream()
        if batch.lost_data:
            log.warning("revocation_stream_lost_data")
            metrics.resets.inc()
        if batch.broken_epoch is not None:
            _call_each(self._broken_epoch, batch.broken_epoch)
        # What the stream still holds of them is read again.
        self._table.add(batch.sessions, in_stream=self._reader.generation == generation)
        if KEYS_CHANGED in batch.events:
            _call_each(self._keys_changed)
        self._purge()
        if self._reader.is_complete:
            self.confirm("stream")

    def _purge(self) -> None:
        now = self._monotonic()
        if now - self._purged_at >= PURGE_SECONDS:
            self._table.purge(self._clock().timestamp())
            self._purged_at = now
        metrics.sessions.set(len(self._revoked))

    def _note_failure(self, error: Exception) -> float:
        self._disconnect()
        self._reader.look_before_waiting()
        if self._failures == 0 and not self._loop.is_stopping:  # once per outage
            log.warning("revocations_not_heard", reason=f"{type(error).__name__}: {error}")
        self._failures += 1
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(self._failures, 10))
        return longest * random.uniform(0.5, 1)  # noqa: S311 - spreads load, guards nothing

    def _disconnect(self) -> None:
        """Also from another thread: shutting the socket down ends a read that waits on it."""
        client, self._client = self._client, None
        if client is not None:
            client.connection_pool.disconnect()

    def _forget_parents_thread(self) -> None:
        self._client = None  # the socket is the parent's
        self._table.forget_locks()
        # The thread may have been between reading an entry and entering it.
        self._reader = StreamReader(self._block_seconds)
        self._table.forget_stream()
        self._confirmed_at = None


def _call_each(callbacks: Iterable[Callable[..., object]], *arguments: object) -> None:
    for callback in callbacks:
        try:
            callback(*arguments)
        except Exception:
            log.exception("revocation_callback_failed")
