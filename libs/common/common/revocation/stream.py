"""The stream on the server: its keys and entries, and a reader that notices when data was lost.

An entry is {sid, exp}, a revoked session and the second from which on no token of it can be valid any more, or
{event}. Ids of entries are moments of the server's clock, so a stream that was emptied and filled again looks like one
that merely went on. Two things tell them apart. The epoch is a random name, set once the stream holds all there is to
know: while it is missing nobody vouches for the stream. And the entry read last has to be there still: a crash of the
server, or a failover, loses the newest entries first.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast
from uuid import UUID

import structlog
from redis import Redis

from common.jwt.verifier import LEEWAY_SECONDS, MAX_LIFETIME_SECONDS

STREAM = "state:revocations"
EPOCH = "state:revocations:epoch"
TURN = "state:revocations:turn"
KEYS_CHANGED = "keys-changed"
NEW_EPOCH = "new-epoch"

WINDOW_SECONDS = MAX_LIFETIME_SECONDS + LEEWAY_SECONDS + 60
"""How long a revoked session is worth telling: until its last token has expired by everybody's clock."""

BATCH = 1000
_START = "0"

Fields = dict[str, str]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Batch:
    """What one look at the stream gave: sessions with their expiry in seconds since 1970, and the events."""

    sessions: Mapping[UUID, int]
    events: frozenset[str]
    lost_data: bool
    """What was read before may be gone from the stream, which will be read again from its beginning."""
    broken_epoch: str | None = None
    """The epoch that vouches for a stream which something is gone from, so that new readers would believe it."""


def session_entry(sid: UUID, expires_at: int) -> Fields:
    """Return the entry of a revoked session."""
    return {"sid": str(sid), "exp": str(expires_at)}


def event_entry(event: str) -> Fields:
    """Return the entry of an event."""
    return {"event": event}


class StreamReader:
    """A place in the stream. It outlives connections, so after an outage it goes on where it was."""

    def __init__(self, block_seconds: float) -> None:
        self._block_ms = int(block_seconds * 1000)
        self._position = _START
        self.at_end = False
        """Whether all that the stream held at the last look has been read."""
        self.epoch: str | None = None
        self.generation = 0
        """How often it began at the beginning since: what was known of the stream's content before is void."""

    @property
    def is_complete(self) -> bool:
        """Whether all there is to know has been read: all that the stream holds, and somebody vouches for that."""
        return self.at_end and self.epoch is not None

    def read(self, client: "Redis") -> Batch:
        """Return what is new; at the end of the stream wait for it as long as this reader blocks. Raises RedisError."""
        previous = self._position
        entries = self._next_entries(client)
        epoch, is_previous_there = self._examine(client, previous)
        is_intact = is_previous_there or _was_trimmed(previous, self._position)
        lost_data = not is_intact or (self.epoch is not None and epoch != self.epoch)
        # Another epoch than the one this reader knew was set by somebody who had noticed, and filled the stream again.
        broken_epoch = epoch if not is_intact and self.epoch in {None, epoch} else None
        if lost_data or epoch != self.epoch:
            self._begin_again(epoch)
        return _parse((fields for _, fields in entries), lost_data, broken_epoch)

    def look_before_waiting(self) -> None:
        """Do not wait for news at the next look: the connection was lost, and maybe more with it."""
        self.at_end = False

    def _next_entries(self, client: "Redis") -> list[tuple[str, Fields]]:
        # Without a limit the server would wait for ever for what is not there yet.
        block_ms = self._block_ms if self.at_end else None
        answer = cast(
            "list[tuple[str, list[tuple[str, Fields]]]]",
            client.xread({STREAM: self._position}, count=BATCH, block=block_ms),
        )
        entries = answer[0][1] if answer else []
        if entries:
            self._position = entries[-1][0]
        self.at_end = len(entries) < BATCH
        return entries

    def _examine(self, client: "Redis", previous: str) -> tuple[str | None, bool]:
        """Return the epoch, and whether the entry this look began behind is there still."""
        pipeline = client.pipeline(transaction=False)
        pipeline.get(EPOCH)
        if previous != _START:
            pipeline.xrange(STREAM, previous, previous)
        epoch, *found = pipeline.execute()
        return epoch, found != [[]]

    def _begin_again(self, epoch: str | None) -> None:
        self.epoch = epoch
        self.generation += 1
        self._position = _START
        self.at_end = False


def _was_trimmed(entry_id: str, newest_id: str) -> bool:
    """Whether an entry is gone because it was too old when the newest one came."""
    return milliseconds_of(newest_id) - milliseconds_of(entry_id) >= WINDOW_SECONDS * 1000


def milliseconds_of(entry_id: str) -> int:
    """Return when an entry was added, by the server's clock, in milliseconds since 1970."""
    return int(entry_id.partition("-")[0])


def _parse(entries: Iterable[Fields], lost_data: bool, broken_epoch: str | None) -> Batch:
    events: set[str] = set()
    return Batch(dict(_sessions(entries, events)), frozenset(events), lost_data, broken_epoch)


def _sessions(entries: Iterable[Fields], events: set[str]) -> Iterator[tuple[UUID, int]]:
    for fields in entries:
        if "event" in fields:
            events.add(fields["event"])
            continue
        try:
            yield UUID(fields["sid"]), int(fields["exp"])
        except (KeyError, ValueError):
            # Not ours, or of a later release: no reason to miss the entries behind it.
            log.warning("revocation_entry_unreadable", fields=sorted(fields))
