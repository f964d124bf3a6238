"""Tells all processes which sessions were revoked. What does not get through is told again from the database."""

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import islice
from secrets import token_hex
from typing import cast
from uuid import UUID

import structlog
from redis import Redis, RedisError

from common.clock import Clock, utc_now
from common.revocation import metrics
from common.revocation.connection import connect
from common.revocation.stream import (
    EPOCH,
    KEYS_CHANGED,
    NEW_EPOCH,
    STREAM,
    TURN,
    WINDOW_SECONDS,
    Fields,
    event_entry,
    milliseconds_of,
    session_entry,
)

TIMEOUT_SECONDS = 0.5  # a logout waits for it, and is good without it
MAX_ENTRIES = 500  # of one round trip
TURN_SECONDS = 10  # longer than publishing a lot takes, and everybody hearing of it

# In one step: meanwhile somebody may have filled the stream and vouch for it by another name.
_DELETE_IF_EQUAL = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1])"

log = structlog.get_logger(__name__)


class RevocationPublisher:
    """Appends to the stream at `url`; None where there is none, in tests. Opens nothing before it is first used.

    `tell_own_process` hears first: the table of this process need not wait for its own news.
    """

    def __init__(
        self,
        url: str | None,
        *,
        tell_own_process: Callable[[Collection[UUID]], object] | None = None,
        clock: Clock = utc_now,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        # One more attempt at once: the server may have been restarted since the last one, hours ago.
        self._client = None if url is None else connect(url, timeout_seconds=timeout_seconds, retries=1)
        self._tell_own_process = tell_own_process
        self._clock = clock
        self._is_failing = False

    def publish(self, session_ids: Collection[UUID]) -> None:
        """Tell that these sessions were revoked, now; after the commit. Never raises: what fails comes later."""
        if self._tell_own_process is not None:
            self._tell_own_process(session_ids)
        expires_at = int(self._clock().timestamp()) + WINDOW_SECONDS
        self._publish(dict.fromkeys(session_ids, expires_at), "published")

    def republish(self, expiries: Mapping[UUID, int]) -> bool:
        """Tell again of sessions revoked earlier, with their expiry in seconds; return whether it worked."""
        return self._publish(expiries, "republished")

    def keys_changed(self) -> None:
        """Tell verifiers to ask for the issuer's keys again, because one was withdrawn. Never raises."""
        self._append([event_entry(KEYS_CHANGED)])

    def take_turn(self) -> bool:
        """Return whether it is for this process to republish a lot: one at a time does, the others hear it then.

        A turn is not given back but ends after TURN_SECONDS, also if whoever took it died. Never raises.
        """
        return self._set_first(TURN, "taken", TURN_SECONDS)

    def vouch(self) -> None:
        """Say that the stream holds all that is to be known, unless somebody has said so already. Never raises."""
        if self._set_first(EPOCH, token_hex(8)):
            log.info("revocation_stream_filled")
            self._append([event_entry(NEW_EPOCH)])  # wakes those who wait at its end

    def withdraw(self, epoch: str) -> None:
        """Vouch for the stream no longer, if it is by this name that somebody does. Never raises.

        Who begins to listen would take a stream for complete that something is gone from.
        """
        if self._client is None:
            return
        try:
            self._client.eval(_DELETE_IF_EQUAL, 1, EPOCH, epoch)
        except (RedisError, OSError) as error:
            self._note_failure(error)

    def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            self._client.close()

    def _set_first(self, key: str, value: str, seconds: int | None = None) -> bool:
        """Whether nobody else had set it, and that is certain."""
        if self._client is None:
            return False
        try:
            return bool(self._client.set(key, value, nx=True, ex=seconds))
        except (RedisError, OSError) as error:
            self._note_failure(error)
            return False

    def _publish(self, expiries: Mapping[UUID, int], outcome: str) -> bool:
        is_done = self._append(session_entry(sid, expires_at) for sid, expires_at in expiries.items())
        metrics.published.labels(outcome if is_done else "failed").inc(len(expiries))
        return is_done

    def _append(self, entries: Iterable[Fields]) -> bool:
        waiting = iter(entries)
        if self._client is None:
            return True
        try:
            while batch := list(islice(waiting, MAX_ENTRIES)):
                _append_batch(self._client, batch, self._clock().timestamp())
        except (RedisError, OSError) as error:
            self._note_failure(error)
            return False
        self._is_failing = False
        return True

    def _note_failure(self, error: Exception) -> None:
        if not self._is_failing:  # once per outage
            log.warning("revocations_not_published", reason=f"{type(error).__name__}: {error}")
        self._is_failing = True


def _append_batch(client: "Redis", batch: list[Fields], now: float) -> None:
    pipeline = client.pipeline(transaction=False)
    for fields in batch:
        pipeline.xadd(STREAM, fields)  # type: ignore[arg-type] # a dict of more types than text, says the library
    *_, newest = cast("list[str]", pipeline.execute())
    # By whichever clock is behind, the server's (in its ids) or ours: one that is ahead, or was just put right by
    # hours, would trim what is still needed.
    oldest_ms = min(milliseconds_of(newest), int(now * 1000)) - WINDOW_SECONDS * 1000
    client.xtrim(STREAM, minid=str(max(0, oldest_ms)), approximate=True)
