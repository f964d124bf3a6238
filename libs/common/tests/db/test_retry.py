"""What is repeated, how often, and what never."""

import threading
from uuid import uuid4

import pytest
from common.db import retry, run_statement, run_write
from common.db.engine import make_engine
from common.testing.statements import statements
from pymysql import err
from pymysql.connections import Connection
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    taken = []
    monkeypatch.setattr(retry.time, "sleep", taken.append)
    return taken


def error(code):
    """An error of the driver as SQLAlchemy hands it on."""
    return OperationalError("COMMIT", {}, err.OperationalError(code, "so says the server"))


DEADLOCK, LOCK_WAIT, LOST = 1213, 1205, 2013


class Work:
    """Adds an author and commits, unless it has failures left; each is raised before or after the commit."""

    def __init__(self, library, *failures, after_commit=False):
        self.library = library
        self.failures = list(failures)
        self.after_commit = after_commit
        self.runs = 0

    def __call__(self, session):
        self.runs += 1
        session.add(self.library.Author(id=uuid4(), name=f"run {self.runs}"))
        session.flush()
        if self.after_commit:
            session.commit()
        if self.failures:
            raise self.failures.pop(0)
        session.commit()
        return "done"


@pytest.mark.parametrize("code", [DEADLOCK, LOCK_WAIT, LOST])
def test_work_that_failed_before_its_commit_is_repeated(library, code, pauses):
    work = Work(library, error(code), error(code))
    assert run_write(library.database, work) == "done"
    assert work.runs == 3
    assert library.names() == ["run 3"]
    assert len(pauses) == 2
    assert 0 < max(pauses) < 0.1


def test_it_is_given_up_after_the_last_attempt(library):
    work = Work(library, *[error(DEADLOCK)] * 3)
    with pytest.raises(OperationalError):
        run_write(library.database, work)
    assert work.runs == 3
    assert library.names() == []


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_the_number_of_attempts_can_be_chosen(library, attempts):
    work = Work(library, *[error(DEADLOCK)] * 9)
    with pytest.raises(OperationalError):
        run_write(library.database, work, attempts=attempts)
    assert work.runs == attempts


@pytest.mark.parametrize("code", [DEADLOCK, LOCK_WAIT, LOST])
def test_work_that_has_committed_is_never_repeated(library, code):
    work = Work(library, error(code), after_commit=True)
    with pytest.raises(OperationalError):
        run_write(library.database, work)
    assert work.runs == 1
    assert library.names() == ["run 1"]


@pytest.mark.parametrize(
    "failure", [error(1064), IntegrityError("", {}, Exception()), ValueError("no"), error("HY000")]
)
def test_other_errors_are_not_repeated(library, failure):
    work = Work(library, failure)
    with pytest.raises(type(failure)):
        run_write(library.database, work)
    assert work.runs == 1


def refuse_commits(monkeypatch, *codes):
    """The server answers the next COMMITs with these errors."""
    codes = list(codes)
    commit = Connection.commit

    def refuse(connection):
        if codes:
            raise err.OperationalError(codes.pop(0), "so says the server")
        commit(connection)

    monkeypatch.setattr(Connection, "commit", refuse)


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_a_commit_the_server_refused_is_repeated(library, monkeypatch):
    refuse_commits(monkeypatch, DEADLOCK)
    work = Work(library)
    assert run_write(library.database, work) == "done"
    assert library.names() == ["run 2"]


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_a_connection_lost_during_commit_is_not_repeated(library, monkeypatch):
    refuse_commits(monkeypatch, LOST)
    work = Work(library)
    with pytest.raises(OperationalError):
        run_write(library.database, work)
    assert work.runs == 1


@pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)
def test_a_refused_commit_leaves_no_transaction_behind(library):
    with library.database.write() as session:
        session.execute(text("PRAGMA defer_foreign_keys = ON"))
        session.add(library.Book(id=uuid4(), author_id=uuid4(), title="Nobody's"))
        session.flush()
        with pytest.raises(IntegrityError):
            session.commit()
    library.add("Ada")
    with library.database.read() as session:
        assert session.scalars(select(library.Book)).all() == []


def test_an_error_of_the_flush_before_the_commit_is_not_taken_for_one_of_the_commit(library):
    runs = []

    def work(session):
        runs.append(len(runs))
        session.add(library.Author(id=uuid4(), name="Ada"))
        session.flush = session.flush if len(runs) > 1 else lambda: (_ for _ in ()).throw(error(LOST))
        session.commit()

    run_write(library.database, work)
    assert len(runs) == 2
    assert library.names() == ["Ada"]


def test_a_released_savepoint_is_no_commit(library):
    failures = [error(LOST)]

    def work(session):
        with session.begin_nested():
            session.add(library.Author(id=uuid4(), name="Ada"))
        if failures:
            raise failures.pop()
        session.commit()

    run_write(library.database, work)
    assert library.names() == ["Ada"]


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_two_that_deadlock_both_succeed(library):
    first, second = library.add("first"), library.add("second")
    meeting = threading.Barrier(2, timeout=10)

    def swap(own, other):
        met = []

        def work(session):
            session.execute(text("UPDATE authors SET name = CONCAT(name, '!') WHERE id = :id"), {"id": own.bytes})
            if not met:
                met.append(meeting.wait())
            session.execute(text("UPDATE authors SET name = CONCAT(name, '?') WHERE id = :id"), {"id": other.bytes})
            session.commit()

        run_write(library.database, work)

    threads = [threading.Thread(target=swap, args=pair) for pair in ((first, second), (second, first))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(len(name) for name in library.names()) == [len("first") + 2, len("second") + 2]


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_work_whose_connection_was_killed_is_done_on_another(library):
    killed = []

    def work(session):
        session.add(library.Author(id=uuid4(), name="Ada"))
        session.flush()
        if not killed:
            killed.append(session.scalar(text("SELECT CONNECTION_ID()")))
            server = make_engine(library.database.url, pool_size=1)
            with server.connect() as connection:
                connection.exec_driver_sql(f"KILL {killed[0]}")
            server.dispose()
        session.scalars(select(library.Author)).all()
        session.commit()

    run_write(library.database, work)
    assert library.names() == ["Ada"]


class Statement(Work):
    """As `Work`, by a single statement; a failure comes before it, or after it was done and nobody heard of it."""

    def __call__(self, connection):
        self.runs += 1
        if self.failures and not self.after_commit:
            raise self.failures.pop(0)
        connection.execute(insert(self.library.Author).values(id=uuid4(), name=f"run {self.runs}"))
        if self.failures:
            raise self.failures.pop(0)
        return "done"


@pytest.mark.parametrize("code", [DEADLOCK, LOCK_WAIT, LOST])
def test_a_statement_that_was_thrown_out_is_repeated(library, code, pauses):
    statement = Statement(library, error(code), error(code))
    assert run_statement(library.database, statement) == "done"
    assert library.names() == ["run 3"]
    assert (len(pauses), max(pauses) < 0.1) == (2, True)


def test_a_statement_is_repeated_even_where_it_may_have_been_done(library):
    statement = Statement(library, error(LOST), after_commit=True)
    assert run_statement(library.database, statement) == "done"
    assert library.names() == ["run 1", "run 2"]  # so it has to be one that recognises itself


@pytest.mark.parametrize(
    "failures", [[error(DEADLOCK)] * 3, [error(1064)], [IntegrityError("", {}, Exception())], [ValueError("no")]]
)
def test_a_statement_is_given_up_like_any_work(library, failures):
    statement = Statement(library, *failures)
    with pytest.raises(type(failures[0])):
        run_statement(library.database, statement)
    assert statement.runs == len(failures)
    assert library.names() == []


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_a_statement_takes_one_round_trip(library):
    library.database.warm()
    with statements(library.database) as counted:
        run_statement(library.database, Statement(library))
    assert counted.kinds == {"insert": 1}
