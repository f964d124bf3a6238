"""SQLite shared by threads and processes."""

import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from textwrap import dedent
from uuid import uuid4

import pytest
from common.db import Database
from common.db.retry import is_conflict
from common.testing.statements import statements
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

pytestmark = pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)


def test_files_are_in_wal_mode_with_foreign_keys(library):
    with library.database.read() as session:
        assert session.scalar(text("PRAGMA journal_mode")) == "wal"
        assert session.scalar(text("PRAGMA foreign_keys")) == 1
        assert session.scalar(text("PRAGMA busy_timeout")) == 15_000


def test_a_row_without_its_parent_is_refused(library):
    with library.database.write() as session:
        session.add(library.Book(id=uuid4(), author_id=uuid4(), title="Nobody's"))
        with pytest.raises(IntegrityError):
            session.flush()


def test_readers_go_on_while_one_writes_and_see_what_is_committed(library):
    with library.database.write() as writer:
        writer.add(library.Author(id=uuid4(), name="Ada"))
        writer.flush()
        assert library.names() == []
        writer.commit()
    assert library.names() == ["Ada"]


def test_a_reader_does_not_keep_a_writer_waiting(library):
    library.add("Ada")
    with library.database.read() as reader:
        assert reader.scalar(select(func.count()).select_from(library.Author)) == 1
        library.add("Bob")
        assert reader.scalar(select(func.count()).select_from(library.Author)) == 2


def test_a_second_writer_waits_at_its_begin(library):
    order = []

    def write_second():
        with library.database.write() as session:
            session.scalars(select(library.Author)).all()
            order.append("second")

    with library.database.write() as session:
        session.scalars(select(library.Author)).all()
        thread = threading.Thread(target=write_second)
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_many_threads_lose_no_update(library):
    library.add("0")

    def count_up(_):
        with library.database.write() as session:
            author = session.scalars(select(library.Author)).one()
            author.name = str(int(author.name) + 1)
            session.commit()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(count_up, range(80)))
    assert library.names() == ["80"]


def test_many_processes_lose_no_update(library):
    library.add("0")
    script = dedent("""
        import sys
        from common.db import Database
        from sqlalchemy import text

        database = Database(sys.argv[1])
        for _ in range(20):
            with database.write() as session:
                count = int(session.scalar(text("SELECT name FROM authors")))
                session.execute(text("UPDATE authors SET name = :name"), {"name": str(count + 1)})
                session.commit()
    """)
    url = str(library.database.url)
    processes = [subprocess.Popen([sys.executable, "-c", script, url]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert library.names() == ["60"]


def test_a_file_that_stays_busy_is_a_conflict_to_try_again(library, monkeypatch):
    monkeypatch.setattr("common.db.engine.BUSY_TIMEOUT_SECONDS", 0.05)
    hurried = Database(library.database.url)
    with library.database.write() as session:
        session.scalars(select(library.Author)).all()
        with hurried.write() as other, pytest.raises(OperationalError) as refusal:
            other.scalars(select(library.Author)).all()
    assert is_conflict(refusal.value)
    hurried.dispose()


def test_a_new_file_that_others_switch_to_wal_is_waited_for(library, monkeypatch):
    class Contended:
        refusals = 2

        def execute(self, pragma):
            self.refusals -= 1
            if self.refusals >= 0:
                raise sqlite3.OperationalError("database is locked")
            return memory.execute("SELECT 1")

    from common.db import sqlite

    contended = Contended()
    # Closed here: collected at some later moment, it would fail whatever test runs then (from Python 3.13 on).
    with closing(sqlite3.connect(":memory:")) as memory:
        sqlite._use_wal(contended)
    assert contended.refusals == -1
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0)
    contended.refusals = 5
    with pytest.raises(sqlite3.OperationalError):
        sqlite._use_wal(contended)


def test_reads_and_writes_cost_no_more_statements_than_on_mysql(library):
    library.database.warm()
    with statements(library.database) as counted:
        library.add("Ada")
        library.names()
    assert counted.kinds == {"begin": 1, "insert": 1, "commit": 1, "select": 1}
