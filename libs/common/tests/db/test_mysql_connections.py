"""How connections to MySQL are set up, and what happens when they die."""

import contextlib
import socket
import threading
import time
from uuid import uuid4

import pytest
from common.db import Database, run_statement
from common.db.engine import POOL_RECYCLE_SECONDS, make_engine
from common.db.mysql import GREETING_TIMEOUT_SECONDS
from common.testing.statements import statements
from common.testing.waiting import eventually
from sqlalchemy import insert, make_url, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

pytestmark = pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)


def kill(library, connection_id):
    server = make_engine(library.database.url, pool_size=1)
    with server.connect() as connection:
        connection.exec_driver_sql(f"KILL {connection_id}")
    server.dispose()


def connection_id(session):
    return session.scalar(text("SELECT CONNECTION_ID()"))


@pytest.fixture
def lonely(library, request):
    """The library on a pool of one connection, so that a test knows which one it gets; with its id."""
    database = Database(library.database.url, pool_size=1)
    lonely = type(library)(database)
    with database.read() as session:
        first = connection_id(session)
    yield lonely, first
    database.dispose()


def test_sessions_are_read_committed_in_utc_and_strict(library):
    names = ["transaction_isolation", "time_zone", "autocommit", "innodb_lock_wait_timeout", "character_set_connection"]
    with library.database.read() as session:
        values = session.execute(text("SELECT " + ", ".join(f"@@SESSION.{name}" for name in names))).one()
        assert "STRICT_TRANS_TABLES" in session.scalar(text("SELECT @@SESSION.sql_mode"))
    assert tuple(values) == ("READ-COMMITTED", "+00:00", 1, 5, "utf8mb4")


def test_the_locks_of_a_client_that_vanished_are_freed_before_a_job_has_used_up_its_attempts(library):
    with library.database.read() as session:
        assert session.scalar(text("SELECT @@SESSION.wait_timeout")) <= 60


def test_the_pool_gives_a_connection_up_before_the_server_does(library):
    with library.database.read() as session:
        assert session.scalar(text("SELECT @@SESSION.wait_timeout")) > POOL_RECYCLE_SECONDS


def test_tables_are_innodb_with_our_collation_whatever_the_database_says(library):
    query = "SELECT engine, table_collation FROM information_schema.tables WHERE table_schema = DATABASE()"
    with library.database.read() as session:
        tables = session.execute(text(query)).all()
    assert {tuple(table) for table in tables} == {("InnoDB", "utf8mb4_0900_bin")}


def test_a_read_survives_the_death_of_its_idle_connection(lonely):
    library, first = lonely
    library.add("Ada")
    kill(library, first)
    assert library.names() == ["Ada"]


def test_a_read_survives_it_between_two_statements(lonely):
    library, first = lonely
    with library.database.read() as session:
        assert connection_id(session) == first
        kill(library, first)
        assert connection_id(session) != first


def test_a_write_survives_it_where_nothing_was_sent(lonely):
    library, first = lonely
    kill(library, first)
    library.add("Ada")
    assert library.names() == ["Ada"]


def test_a_reconnected_session_is_set_up_like_the_first(lonely):
    library, first = lonely
    kill(library, first)
    with library.database.write() as session:
        assert session.scalar(text("SELECT @@SESSION.transaction_isolation")) == "READ-COMMITTED"
    with statements(library.database) as counted:
        library.names()
    assert counted.total == 1


def test_a_connection_the_server_closed_for_idleness_is_replaced(lonely):
    library, first = lonely
    with library.database.write() as session:
        session.execute(text("SET SESSION wait_timeout = 1"))
    time.sleep(2.2)
    with library.database.read() as session:
        assert connection_id(session) != first


def test_every_dead_connection_of_the_pool_is_replaced(library):
    library.database.warm()
    with contextlib.ExitStack() as sessions:
        opened = [sessions.enter_context(library.database.read()) for _ in range(4)]
        ids = [connection_id(session) for session in opened]
    for dead in ids:
        kill(library, dead)
    for _ in range(8):
        assert library.names() == []


def test_a_transaction_that_loses_its_connection_fails_and_leaves_nothing(lonely):
    library, first = lonely
    with library.database.write() as session:
        session.add(library.Author(id=uuid4(), name="Ada"))
        session.flush()
        kill(library, first)
        with pytest.raises(OperationalError):
            session.execute(select(library.Author)).all()
    assert library.names() == []


def test_a_commit_that_loses_its_connection_fails(lonely):
    library, first = lonely
    with library.database.write() as session:
        session.add(library.Author(id=uuid4(), name="Ada"))
        session.flush()
        kill(library, first)
        with pytest.raises(OperationalError):
            session.commit()
    assert library.names() == []


def test_a_read_past_the_time_limit_fails_and_is_not_sent_again(library):
    database = Database(library.database.url, pool_size=1, read_timeout_seconds=1)
    database.warm()
    started = time.monotonic()
    with database.read() as session, pytest.raises(OperationalError):
        session.scalar(text("SELECT SLEEP(3)"))
    assert time.monotonic() - started < 2
    with database.read() as session:
        assert session.scalar(text("SELECT 1")) == 1
    database.dispose()


class Gate:
    """A door between a client and the server that can be shut, as a server that restarts."""

    def __init__(self, target):
        self.target = target
        self.pairs = []
        self.open()

    def open(self, port=0):
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                client = listener.accept()[0]
                server = socket.create_connection(self.target)
                self.pairs += [client, server]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self.copy, args=(source, sink), daemon=True).start()

    def copy(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)

    def shut(self):
        for end in (self.listener, *self.pairs):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self.pairs.clear()


def test_the_pool_recovers_from_a_server_that_was_away(library):
    url = make_url(library.database.url)
    gate = Gate((url.host, url.port))
    database = Database(url.set(host="127.0.0.1", port=gate.port), pool_size=2)
    behind = type(library)(database)
    database.warm()
    behind.add("Ada")
    gate.shut()
    for attempt in (behind.names, behind.names, lambda: behind.add("Bob")):
        with pytest.raises(OperationalError):
            attempt()
    gate.open(gate.port)
    assert behind.names() == ["Ada"]
    behind.add("Bob")
    assert behind.names() == ["Ada", "Bob"]
    database.dispose()
    gate.shut()


@pytest.mark.parametrize(("read_timeout_seconds", "below"), [(1, 4), (60, 30)])
def test_a_server_that_accepts_and_never_speaks_is_given_up(database_backend, read_timeout_seconds, below):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        database = Database(
            f"mysql+pymysql://user@127.0.0.1:{deaf.getsockname()[1]}/name", read_timeout_seconds=read_timeout_seconds
        )
        started = time.monotonic()
        with pytest.raises(OperationalError):
            database.warm()
        assert time.monotonic() - started < below
        database.dispose()


def expect_no_answer(database):
    with pytest.raises(OperationalError, match="timed out"):
        database.warm()


def test_while_a_thread_waits_for_a_silent_server_others_are_told_at_once(database_backend):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"mysql+pymysql://user@127.0.0.1:{deaf.getsockname()[1]}/name"
        database = Database(url, pool_size=2, read_timeout_seconds=2)
        expect_no_answer(database)
        waiting = threading.Thread(target=expect_no_answer, args=[database])
        waiting.start()
        eventually(lambda: database.engine.dialect._reachability._probed_until)
        with pytest.raises(OperationalError, match="another thread waits"):
            database.warm()
        assert waiting.is_alive()
        waiting.join()
        database.dispose()


def test_a_statement_may_take_longer_than_the_server_s_greeting(library):
    database = Database(library.database.url, pool_size=1)
    with database.read() as session:
        assert session.scalar(text(f"SELECT SLEEP({GREETING_TIMEOUT_SECONDS + 0.5})")) == 0
    database.dispose()


def test_an_error_of_the_statement_itself_is_not_taken_for_a_dead_connection(lonely):
    library, first = lonely
    with library.database.read() as session, pytest.raises(DBAPIError):
        session.execute(text("SELECT nonsense"))
    with library.database.read() as session:
        assert connection_id(session) == first


def test_a_statement_for_a_connection_that_died_idle_is_done_on_another(lonely):
    library, first = lonely
    kill(library, first)
    run_statement(library.database, lambda via: via.execute(insert(library.Author).values(id=uuid4(), name="Ada")))
    assert library.names() == ["Ada"]
