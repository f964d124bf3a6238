"""Processes that publish and listen, on a Valkey of the test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from common.revocation import RevocationPublisher, RevokedSessions
from common.testing.valkey import ValkeyServer

MakeSessions = Callable[..., RevokedSessions]


@pytest.fixture
def make_sessions(valkey: ValkeyServer) -> Iterator[MakeSessions]:
    """Tables as processes have them, each with its own thread that listens."""
    made: list[RevokedSessions] = []

    def make(url: str = valkey.url, **options: Any) -> RevokedSessions:
        made.append(RevokedSessions(url, **{"block_seconds": 0.3, **options}))
        made[-1].start()
        return made[-1]

    yield make
    for sessions in made:
        sessions.stop()


@pytest.fixture
def publisher(valkey: ValkeyServer) -> Iterator[RevocationPublisher]:
    """A publisher, on a stream that it has vouched for."""
    publisher = RevocationPublisher(valkey.url)
    publisher.vouch()
    yield publisher
    publisher.close()
