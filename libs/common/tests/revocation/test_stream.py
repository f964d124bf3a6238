"""Publishing, listening and losing data, on a real Valkey."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from common.clock import utc_now
from common.ids import new_id
from common.revocation import WINDOW_SECONDS, RevocationPublisher, RevokedSessions
from common.revocation.stream import EPOCH, STREAM, session_entry
from common.testing.valkey import ValkeyServer

T = TypeVar("T")
MakeSessions = Callable[..., RevokedSessions]


def eventually(condition: Callable[[], T], seconds: float = 20) -> T:
    give_up_at = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < give_up_at, "not in time"
        time.sleep(0.005)
    return answer


@pytest.fixture
def make_sessions(valkey: ValkeyServer) -> Iterator[MakeSessions]:
    """Tables of processes that listen to the test's Valkey."""
    made: list[RevokedSessions] = []

    def make(url: str = valkey.url, **options: object) -> RevokedSessions:
        made.append(RevokedSessions(url, **{"block_seconds": 0.5, **options}))  # type: ignore[arg-type]
        made[-1].start()
        return made[-1]

    yield make
    for sessions in made:
        sessions.stop()


@pytest.fixture
def publisher(valkey: ValkeyServer) -> Iterator[RevocationPublisher]:
    publisher = RevocationPublisher(valkey.url)
    publisher.vouch()
    yield publisher
    publisher.close()


def test_what_is_published_reaches_everybody_who_listens(
    make_sessions: MakeSessions, publisher: RevocationPublisher
) -> None:
    tables = [make_sessions(), make_sessions()]
    for table in tables:
        eventually(table.is_fresh)
    sids = [new_id(), new_id()]
    publisher.publish(sids)
    for table in tables:
        eventually(lambda table=table: all(map(table.is_revoked, sids)))
        assert not table.is_revoked(new_id())
