"""What a service has deleted beside jobs: in its own store, in batches, and in nobody's way."""

import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from common.db import Database
from common.testing.waiting import eventually
from jobs.dispatcher import Pace, StoreDispatcher
from jobs.testing import StoreHarness
from jobs.upkeep import Upkeep
from prometheus_client import REGISTRY
from sqlalchemy import text

PACE = Pace(purge_seconds=3600, purge_pause_seconds=0.0001)


class Broker:
    def __init__(self) -> None:
        self.published: list[Any] = []

    def batch(self) -> AbstractContextManager[None]:
        return nullcontext()

    def publish(self, _store: str, job_id: Any, _queue: str) -> None:
        self.published.append(job_id)

    def count_waiting(self, _store: str, _queue: str) -> int:
        return 0


def dispatcher(store: StoreHarness, broker: Broker, *upkeep: Upkeep) -> StoreDispatcher:
    return StoreDispatcher("api", store.database, broker, PACE, threading.Event(), upkeep=upkeep)


def deleted() -> float:
    return REGISTRY.get_sample_value("upkeep_deleted_total", {"store": "api", "duty": "old-notes"}) or 0.0


def test_batches_are_deleted_until_there_are_none(store: StoreHarness) -> None:
    batches = [3, 2, 0, 7]
    before = deleted()
    rounds = dispatcher(store, Broker(), Upkeep("api", "old-notes", lambda _: batches.pop(0)))
    for _ in range(6):
        rounds.run_round()
    assert (batches, deleted() - before) == ([7], 5)


def test_what_is_another_stores_is_left_to_that(store: StoreHarness) -> None:
    asked: list[Database] = []
    others = Upkeep("auth", "old-notes", lambda database: asked.append(database) or 0)
    dispatcher(store, Broker(), others).run_round()
    assert asked == []


def test_a_table_that_is_not_there_keeps_no_job_waiting(store: StoreHarness) -> None:
    tries = []

    def fail(database: Database) -> int:
        tries.append(1)
        with database.read() as session:
            session.execute(text("SELECT 1 FROM no_such_table"))
        return 0

    broker = Broker()
    rounds = dispatcher(store, broker, Upkeep("api", "old-notes", fail))
    assert rounds.run_round() <= PACE.idle_seconds
    job = store.enqueue()
    assert rounds.run_round() <= PACE.busy_seconds
    assert (len(tries), broker.published) == (1, [job])


def test_a_batch_that_takes_long_keeps_no_job_waiting(store: StoreHarness) -> None:
    begun, finish, stop = threading.Event(), threading.Event(), threading.Event()

    def take_long(_database: Database) -> int:
        begun.set()
        finish.wait(30)
        return 0

    broker = Broker()
    upkeep = [Upkeep("api", "old-notes", take_long)]
    rounds = StoreDispatcher("api", store.database, broker, PACE, stop, upkeep=upkeep)
    thread = threading.Thread(target=rounds.run)
    thread.start()
    try:
        assert begun.wait(30)
        job = store.enqueue()
        assert eventually(lambda: broker.published) == [job]
        assert not finish.is_set()
    finally:
        finish.set()
        stop.set()
        thread.join()
