"""The row of a key: who gets it, who waits for it, and how long it stands."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from common.clock import utc_now
from common.db import Database, WriteSession, engine, run_write
from common.idempotency import (
    KEPT,
    Answer,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    KeyUse,
    delete_expired_keys,
    keep_answer,
    metadata,
    purging,
    take_key,
)
from common.idempotency.table import idempotency_keys
from common.ids import new_id
from common.testing.databases import Schema
from sqlalchemy import func, select, update

OWNER = UUID("019284ab-0000-7000-8000-000000000001")
USE = KeyUse(OWNER, "POST /notes", "key", b"h" * 32)
DONE = Answer(201, {"Location": "/notes/1"}, b'{"id": 1}')


@pytest.fixture
def database(make_database: Callable[[Schema], Database]) -> Database:
    return make_database((metadata,))


def take(database: Database, use: KeyUse = USE, *, answer: Answer = DONE, days: float = 0) -> Answer | None:
    """Take the key `days` from now and keep the answer, or return the answer it stands for."""

    def work(session: WriteSession) -> Answer | None:
        found = take_key(session, use, now=utc_now() + timedelta(days=days))
        if found is None:
            keep_answer(session, use, answer)
            session.commit()
        return found

    return run_write(database, work)


def count(database: Database) -> int:
    with database.read() as session:
        return session.scalars(select(func.count()).select_from(idempotency_keys)).one()


def test_the_first_takes_the_key_and_those_after_it_get_its_answer(database: Database) -> None:
    assert [take(database), take(database, answer=Answer(500, {}, b"")), take(database)] == [None, DONE, DONE]


@pytest.mark.parametrize(
    "other",
    [
        KeyUse(new_id(), USE.route, USE.key, USE.request_hash),
        KeyUse(OWNER, "POST /other", USE.key, USE.request_hash),
        KeyUse(OWNER, USE.route, "KEY", USE.request_hash),
        KeyUse(OWNER, USE.route, "key ", USE.request_hash),
    ],
)
def test_another_owner_route_or_key_is_another_request(database: Database, other: KeyUse) -> None:
    assert [take(database), take(database, other)] == [None, None]


def test_a_key_stands_for_one_request(database: Database) -> None:
    take(database)
    with pytest.raises(IdempotencyKeyReused):
        take(database, KeyUse(OWNER, USE.route, USE.key, b"o" * 32))
    assert take(database) == DONE


def test_what_was_rolled_back_has_taken_no_key(database: Database) -> None:
    with database.write() as session:
        assert take_key(session, USE, now=utc_now()) is None
    assert count(database) == 0
    assert take(database) is None


def test_after_its_time_a_key_is_free_though_its_row_is_there(database: Database) -> None:
    other = KeyUse(OWNER, USE.route, USE.key, b"o" * 32)
    assert take(database, days=-KEPT.days + 0.01) is None
    assert take(database) == DONE
    answer = Answer(202, {}, b"again")
    assert take(database, other, answer=answer, days=KEPT.days) is None
    assert take(database, other, days=KEPT.days) == answer
    assert count(database) == 1


class Held:
    """A transaction that has taken the key, and ends when it is told."""

    def __init__(self, database: Database) -> None:
        self.session = database.new_session(read_only=False)
        assert take_key(self.session, USE, now=utc_now()) is None

    def end(self, *, commit: bool) -> None:
        if commit:
            keep_answer(self.session, USE, DONE)
            self.session.commit()
        self.session.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as executor:
        yield executor


def test_a_twin_waits_for_the_first_and_gets_its_answer(database: Database, pool: ThreadPoolExecutor) -> None:
    first = Held(database)
    twin = pool.submit(take, database)
    assert not is_done_soon(twin)
    first.end(commit=True)
    assert twin.result(30) == DONE


def test_a_twin_of_one_that_was_refused_does_the_work(database: Database, pool: ThreadPoolExecutor) -> None:
    first = Held(database)
    twin = pool.submit(take, database)
    assert not is_done_soon(twin)
    first.end(commit=False)
    assert twin.result(30) is None
    assert count(database) == 1


def is_done_soon(future: Any) -> bool:
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    return done.wait(0.3)


def test_of_many_twins_of_one_that_was_refused_one_does_the_work(database: Database, pool: ThreadPoolExecutor) -> None:
    first = Held(database)
    twins = [pool.submit(take, database) for _ in range(4)]
    assert not is_done_soon(twins[0])
    first.end(commit=False)
    assert sorted([twin.result(30) for twin in twins], key=repr) == [DONE, DONE, DONE, None]
    assert count(database) == 1


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_twins_that_wait_keep_nobody_else_waiting(database: Database, pool: ThreadPoolExecutor) -> None:
    first = Held(database)
    twins = [pool.submit(take, database) for _ in range(3)]
    assert not is_done_soon(twins[0])
    for key in ("kex", "key ", "kez"):  # the neighbours of the row
        assert take(database, KeyUse(OWNER, USE.route, key, USE.request_hash), days=-KEPT.days) is None
    assert delete_expired_keys(database) == 3
    assert not any(twin.done() for twin in twins)
    first.end(commit=True)
    assert [twin.result(30) for twin in twins] == [DONE] * 3


def test_of_twins_that_find_an_old_key_one_does_the_work(database: Database, pool: ThreadPoolExecutor) -> None:
    take(database, days=-KEPT.days)
    again = Answer(202, {}, b"again")
    twins = [pool.submit(take, database, answer=again) for _ in range(4)]
    assert sorted([twin.result(30) for twin in twins], key=repr) == [again, again, again, None]


def test_nobody_waits_longer_than_for_a_lock(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    short = engine._INIT_COMMAND.replace("innodb_lock_wait_timeout = 5", "innodb_lock_wait_timeout = 1")
    monkeypatch.setattr(engine, "_INIT_COMMAND", short)
    monkeypatch.setattr(engine, "LOCK_WAIT_SECONDS", 1)
    impatient = Database(database.url.set(drivername=database.dialect_name))
    first = Held(database)
    begun = time.monotonic()
    with pytest.raises(IdempotencyKeyInUse) as refused:
        take(impatient)
    assert refused.value.retry_after_seconds > 0
    assert time.monotonic() - begun < 5  # for SQLite's file others wait 15 s
    first.end(commit=True)
    assert take(impatient) == DONE
    impatient.dispose()


def test_old_keys_are_deleted_in_batches_and_young_ones_stay(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "BATCH", 3)
    for number in range(5):
        take(database, KeyUse(new_id(), USE.route, f"key {number}", USE.request_hash), days=-KEPT.days)
    take(database, days=-KEPT.days + 0.01)
    assert [delete_expired_keys(database) for _ in range(3)] == [3, 2, 0]
    assert take(database) == DONE


def test_a_key_that_was_taken_again_is_not_deleted(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    take(database, days=-KEPT.days)
    found = purging._find
    monkeypatch.setattr(purging, "_find", lambda session: (found(session), _rejuvenate(database))[0])
    delete_expired_keys(database)
    assert take(database) == DONE


def _rejuvenate(database: Database) -> None:
    with database.statements() as session:
        session.execute(update(idempotency_keys).values(created_at=utc_now()))
