"""One chunk against a database others write to at the same time, and what it costs."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
from common.clock import utc_now
from common.db import Database
from common.testing.statements import statements
from contacts.imports import OnConflict
from contacts.imports.apply import _Chunk, apply_chunk
from contacts.imports.pipeline import ATTEMPTS
from contacts.imports.records import CSVRecord
from contacts.imports.rows import Row
from contacts.testing import Importer
from contacts.use_cases.contacts import create_contact
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

only_on_mysql = pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)


def row(external_id: str | None, name: str) -> Row:
    return Row(CSVRecord(1, []), {"external_id": external_id, "name": name})


def race(importer: Importer, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Let somebody create the contacts "taken0", "taken1", ... just after each look for existing ones."""
    look_up = _Chunk.look_up
    left = iter(range(times))

    def look_up_and_lose(self, session, rows):
        look_up(self, session, rows)
        number = next(left, None)
        if number is not None:
            with importer.database.write() as other:
                fields = {"external_id": f"taken{number}", "name": "theirs"}
                create_contact(other, importer.owner_id, fields, now=utc_now())

    monkeypatch.setattr(_Chunk, "look_up", look_up_and_lose)


@only_on_mysql
@pytest.mark.parametrize(
    ("on_conflict", "counts", "name"),
    [("skip", (1, 0, 1, 0), "theirs"), ("update", (1, 1, 0, 0), "ours"), ("error", (1, 0, 0, 1), "theirs")],
)
def test_a_contact_somebody_creates_at_the_same_moment_is_a_conflict(
    importer: Importer, monkeypatch: pytest.MonkeyPatch, on_conflict: str, counts: tuple[int, ...], name: str
) -> None:
    race(importer, monkeypatch, times=1)
    result = importer.run(b"external_id,name\nfree,ours\ntaken0,ours\n", on_conflict=on_conflict)
    assert (result.created, result.updated, result.skipped, result.rejected) == counts
    names = {contact.external_id: contact.name for contact in importer.contacts()}
    assert names == {"free": "ours", "taken0": name}


@only_on_mysql
@pytest.mark.parametrize(("lost", "wins"), [(ATTEMPTS - 1, True), (ATTEMPTS, False)])
def test_a_chunk_that_loses_the_race_each_time_gives_up_and_writes_nothing(
    importer: Importer, monkeypatch: pytest.MonkeyPatch, lost: int, *, wins: bool
) -> None:
    race(importer, monkeypatch, times=lost)
    data = b"external_id,name\nfree,ours\n" + b"".join(b"taken%d,ours\n" % number for number in range(lost))
    with nullcontext() if wins else pytest.raises(IntegrityError):
        assert importer.run(data, on_conflict="skip").skipped == lost
    assert len(importer.contacts()) == lost + wins
    assert {contact.name for contact in importer.contacts()} == {"theirs", *(["ours"] if wins else [])}


def wait_until_something_waits_for_a_lock(database: Database) -> None:
    waiting = "SELECT COUNT(*) FROM performance_schema.data_locks WHERE lock_status = 'WAITING' AND object_schema = %s"
    deadline = time.monotonic() + 10
    with database.read() as session:
        while not session.connection().exec_driver_sql(waiting, (database.url.database,)).scalar_one():
            assert time.monotonic() < deadline, "nothing waits for a lock"
            time.sleep(0.02)


@only_on_mysql
def test_a_chunk_thrown_out_by_a_deadlock_is_written_anew(importer: Importer) -> None:
    # The chunk holds "a" and wants "b", the other holds "b" and wants "a". The other has written more, so MySQL
    # rolls the chunk's whole transaction back.
    others = [row("b", "theirs"), *(row(f"other{number}", "theirs") for number in range(50))]
    with ThreadPoolExecutor() as pool, importer.database.write() as other:
        apply_chunk(other, importer.owner_id, others, OnConflict.ERROR, now=utc_now())
        chunk = pool.submit(importer.run, b"external_id,name\na,ours\nb,ours\nc,ours\n", on_conflict="skip")
        wait_until_something_waits_for_a_lock(importer.database)
        apply_chunk(other, importer.owner_id, [row("a", "theirs")], OnConflict.ERROR, now=utc_now())
        other.commit()
        result = chunk.result()
    assert (result.rows, result.created, result.skipped) == (3, 1, 2)
    assert [contact.external_id for contact in importer.contacts() if contact.name == "ours"] == ["c"]


def test_any_other_fault_of_the_database_is_raised_at_once(importer: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def fail(session: Session, *_: object, **__: object) -> None:
        calls.append(session)
        session.execute(text("INSERT INTO contacts (id) VALUES (NULL)"))

    monkeypatch.setattr("contacts.imports.pipeline.apply_chunk", fail)
    with pytest.raises(DBAPIError):
        importer.run(b"name\nx\n")
    assert len(calls) == 1


def test_a_chunk_is_rolled_back_with_the_step_it_is_part_of(importer: Importer) -> None:
    with importer.database.write() as session:
        outcome = apply_chunk(session, importer.owner_id, [row("1", "x")], OnConflict.ERROR, now=utc_now())
        assert outcome.created == 1
    assert importer.contacts() == []


@pytest.mark.parametrize(
    ("on_conflict", "kinds"),
    [
        ("error", {"begin": 1, "select": 1, "insert": 1, "commit": 1}),
        ("update", {"begin": 1, "select": 1, "insert": 2, "commit": 1}),
    ],
)
@only_on_mysql
def test_a_chunk_takes_a_statement_for_each_thing_it_does_and_none_for_each_row(
    importer: Importer, on_conflict: str, kinds: dict[str, int]
) -> None:
    importer.run(b"external_id,name\n1,x\n2,x\n3,x\n")
    data = b"external_id,name\n1,y\n2,y\n3,y\n" + b"".join(b"%d,x\n" % number for number in range(10, 900))
    importer.database.warm()  # connecting takes statements too
    with statements(importer.database) as counted:
        importer.run(data, on_conflict=on_conflict)
    assert counted.kinds == kinds


@only_on_mysql
def test_rows_are_looked_up_until_none_is_there_and_again_when_one_is(
    importer: Importer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contacts.imports.reader.CHUNK_ROWS", 2)
    importer.run(b"external_id,name\n5,theirs\n")
    data = b"external_id,name\n" + b"".join(b"%d,ours\n" % number for number in range(10))
    importer.database.warm()
    with statements(importer.database) as counted:
        result = importer.run(data, on_conflict="skip")
    assert (result.created, result.skipped) == (9, 1)
    # Chunks of two: 0 is looked up, 2 is not, 4 meets 5 and comes again with a look, so 6 is looked up, 8 is not.
    assert counted.kinds["select"] == 3
    assert counted.kinds["insert"] == 6
    assert counted.kinds["commit"] == 5


@pytest.mark.parametrize(("on_conflict", "counts"), [("skip", (0, 1, 0)), ("update", (1, 0, 0)), ("error", (0, 0, 1))])
def test_a_row_without_a_name_is_looked_up_in_any_case(
    importer: Importer, on_conflict: str, counts: tuple[int, ...]
) -> None:
    importer.run(b"external_id,given_name,name\na,G,theirs\n")
    data = Row(CSVRecord(1, []), {"external_id": "a", "name": None})
    with importer.database.write() as session:
        outcome = apply_chunk(session, importer.owner_id, [data], OnConflict(on_conflict), now=utc_now(), look_up=False)
        session.commit()
    assert (outcome.updated, outcome.skipped, len(outcome.refused)) == counts
    assert [refusal.field for refusal in outcome.refused] == ["external_id"] * len(outcome.refused)
    assert [contact.name for contact in importer.contacts()] == ["G" if counts[0] else "theirs"]


@only_on_mysql
@pytest.mark.parametrize("on_conflict", ["skip", "update"])
@pytest.mark.parametrize("step", [1, -1])
def test_two_imports_of_the_same_rows_at_once_create_each_contact_once(
    importer: Importer, on_conflict: str, step: int
) -> None:
    rows = [b"%d,x\n" % number for number in range(4000)]
    files = [b"external_id,name\n" + b"".join(ordered) for ordered in (rows, rows[::step])]
    importers = [Importer(importer.database, importer.owner_id) for _ in files]
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda each, data: each.run(data, on_conflict=on_conflict), importers, files))
    assert sum(result.created for result in results) == 4000
    assert sum(result.skipped for result in results) == 4000
    assert len(importer.contacts()) == 4000
