"""What a worker asks the broker for, by what it holds."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from common.testing.valkey import ValkeyServer
from jobs.broker import worker_settings
from jobs.transport import HELD_BACK_SECONDS, HintChannel
from kombu import Connection
from kombu.transport import redis

QUEUES = ["api.default", "api.bulk"]


def channel(held: int) -> HintChannel:
    made = HintChannel.__new__(HintChannel)
    made.bulk_queues, made.bulk_limit = ["api.bulk"], 2
    made._qos = SimpleNamespace(count_held=lambda queues: held)
    return made


@pytest.mark.parametrize(("held", "asked"), [(0, QUEUES), (1, QUEUES), (2, ["api.default"])])
def test_who_holds_as_many_bulk_jobs_as_allowed_asks_for_others_only(held: int, asked: list[str]) -> None:
    assert channel(held).without_too_many_bulk(QUEUES) == asked


@pytest.mark.parametrize(("held", "seconds"), [(1, None), (2, HELD_BACK_SECONDS)])
def test_who_leaves_bulk_jobs_out_looks_again_soon(
    monkeypatch: pytest.MonkeyPatch, held: int, seconds: float | None
) -> None:
    """A request cannot be changed while it waits, so a bulk job that ends meanwhile would leave its place empty."""
    waits: list[Any] = []
    monkeypatch.setattr(redis.Channel, "_brpop_start", lambda self, timeout=None: waits.append(timeout))
    channel(held)._brpop_start()
    assert waits == [seconds]


@pytest.fixture
def connection(valkey: ValkeyServer) -> Iterator[Connection]:
    with Celery("test", set_as_current=False) as app:
        app.conf.update(
            worker_settings(valkey.url, ["api"], ["default", "bulk"], concurrency=2, longest_hard_limit_seconds=9)
        )
        with app.connection_for_read() as connection:
            yield connection


def lists(valkey: ValkeyServer) -> dict[str, int]:
    """How long each list of the broker is; what is no list counts as -1."""
    with valkey.client() as client:
        return {
            key: client.llen(key) if client.type(key) == "list" else -1
            for key in client.scan_iter()
            if not key.startswith("_kombu")
        }


def take(connection: Connection, count: int) -> list[Any]:
    queue = connection.SimpleQueue("api.default")
    for number in range(count):
        queue.put(number)
    return [queue.get(timeout=5) for _ in range(count)]


def test_the_broker_keeps_nothing_of_what_a_worker_holds(valkey: ValkeyServer, connection: Connection) -> None:
    first, second = take(connection, 2)
    assert lists(valkey) == {}
    first.ack()
    assert first.channel.qos.count_held(["api.default"]) == 1
    second.reject()
    assert first.channel.qos.count_held(["api.default"]) == 0
    assert lists(valkey) == {}


def test_a_worker_that_stops_gives_back_what_it_holds(valkey: ValkeyServer, connection: Connection) -> None:
    acknowledged, *_ = take(connection, 3)
    acknowledged.ack()
    connection.close()
    assert lists(valkey) == {"api.default": 2}


def test_a_message_whose_process_died_goes_back_to_its_queue(valkey: ValkeyServer, connection: Connection) -> None:
    (message,) = take(connection, 1)
    message.requeue()
    assert lists(valkey) == {"api.default": 1}
    connection.close()
    assert lists(valkey) == {"api.default": 1}


def test_what_cannot_be_given_back_is_left_to_the_dispatcher(valkey: ValkeyServer, connection: Connection) -> None:
    first, second, third = take(connection, 3)
    valkey.kill()
    first.requeue()
    second.channel.qos.restore_unacked_once()
    assert second.channel.qos.count_held(["api.default"]) == 0
    connection.close()
    third.requeue()
