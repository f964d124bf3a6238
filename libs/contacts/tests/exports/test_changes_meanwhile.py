"""Exports while others write: what the README promises of contacts that come, go and change meanwhile."""

import csv
import io
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from common.clock import utc_now
from common.db import Database, run_write
from common.ids import new_id
from common.testing.waiting import eventually
from contacts.exports import reading
from contacts.models import Contact
from contacts.testing import Exporter, Importer, Stopped
from contacts.use_cases import contacts as use_cases

CONTACTS = 300
CHUNK_ROWS = 10
WRITES_A_PAGE = 3


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contacts.exports.pipeline.CHUNK_ROWS", CHUNK_ROWS)


class Writers:
    """Threads that change contacts as requests do, until they are told to stop; `writes` counts what was committed."""

    def __init__(self, database: Database, owner_id: UUID) -> None:
        self.writes: Counter[str] = Counter()
        self._database = database
        self._owner_id = owner_id
        self._stop = threading.Event()
        self._errors: list[BaseException] = []

    @contextmanager
    def at_work(self, *jobs: Callable[[random.Random], None]) -> Iterator[None]:
        threads = [threading.Thread(target=self._repeat, args=(job, seed)) for seed, job in enumerate(jobs)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
        assert self._errors == []

    def _repeat(self, job: Callable[[random.Random], None], seed: int) -> None:
        chance = random.Random(seed)
        try:
            while not self._stop.is_set():
                job(chance)
                self.writes[job.__name__] += 1
        except BaseException as error:
            self._errors.append(error)

    def do(self, use_case: Callable[..., Any], *args: Any) -> None:
        run_write(self._database, lambda session: use_case(session, self._owner_id, *args, now=utc_now()))


def rows_of(exporter: Exporter) -> list[dict[str, str]]:
    text = exporter.files["contacts.csv"].decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_each_contact_that_was_there_throughout_is_one_whole_line(
    importer: Importer, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = b"".join(b"e%03d,v0,v0\n" % number for number in range(CONTACTS))
    assert importer.run(b"external_id,name,notes\n" + lines).created == CONTACTS
    contacts = importer.contacts()
    staying, going = contacts[::2], contacts[1::2]
    writers = Writers(importer.database, importer.owner_id)

    def change(chance: random.Random) -> None:
        # Both fields at once: a line with two different ones would be torn.
        version = f"v{chance.randrange(10**6)}"
        writers.do(use_cases.update_contact, chance.choice(staying).id, {"name": version, "notes": version})

    def delete_and_restore(chance: random.Random) -> None:
        contact_id = chance.choice(going).id
        writers.do(use_cases.delete_contact, contact_id)
        writers.do(use_cases.restore_contact, contact_id)

    def create(chance: random.Random) -> None:
        version = f"v{chance.randrange(10**6)}"
        writers.do(use_cases.create_contact, {"name": version, "notes": version, "external_id": f"new-{new_id()}"})

    read_page, seen = reading.read_page, [0]

    def read_after_others_wrote(*args: Any, **options: Any) -> Any:
        eventually(lambda: writers.writes.total() >= seen[-1] + WRITES_A_PAGE)
        seen.append(writers.writes.total())
        return read_page(*args, **options)

    monkeypatch.setattr(reading, "read_page", read_after_others_wrote)
    exporter = Exporter(importer.database, importer.owner_id)
    with writers.at_work(change, delete_and_restore, create):
        eventually(lambda: len(writers.writes) == 3)
        result = exporter.run()
    lines_by_id = Counter(row["external_id"] for row in rows_of(exporter))
    assert set(lines_by_id.values()) == {1}
    assert {contact.external_id for contact in staying} <= set(lines_by_id)
    assert all(row["name"] == row["notes"] for row in rows_of(exporter))
    assert any(row["name"] != "v0" for row in rows_of(exporter)), "nothing changed meanwhile"
    assert result.rows == len(rows_of(exporter))
    assert len(seen) >= CONTACTS // 2 // CHUNK_ROWS


def test_an_export_ends_though_contacts_are_created_faster_than_it_reads(
    importer: Importer, monkeypatch: pytest.MonkeyPatch
) -> None:
    importer.run(b"name\n" + b"x\n" * (3 * CHUNK_ROWS))
    read_page = reading.read_page

    def create_and_read(*args: Any, **options: Any) -> Any:
        importer.run(b"name\n" + b"late\n" * (2 * CHUNK_ROWS))
        return read_page(*args, **options)

    monkeypatch.setattr(reading, "read_page", create_and_read)
    exporter = Exporter(importer.database, importer.owner_id)
    assert exporter.run().rows == 3 * CHUNK_ROWS
    assert {row["name"] for row in rows_of(exporter)} == {"x"}


def test_one_whose_id_is_older_may_be_in_it_though_it_came_later(importer: Importer) -> None:
    """An id is made before the commit, and by a clock of its own machine: it is no proof of what was there first."""
    importer.run(b"name\n" + b"x\n" * (CHUNK_ROWS + 1))
    older = Contact(id=new_id(), owner_id=importer.owner_id, name="late", tags=[], version=1)
    older.created_at = older.updated_at = utc_now()
    importer.run(b"name\ny\n")
    exporter = Exporter(importer.database, importer.owner_id)
    with pytest.raises(Stopped):
        exporter.run(max_chunks=1)
    with importer.database.write() as session:
        session.add(older)
        session.commit()
    exporter.run()
    assert [row["name"] for row in rows_of(exporter)][-3:] == ["x", "late", "y"]
