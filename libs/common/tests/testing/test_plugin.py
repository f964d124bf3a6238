"""The fixtures the whole repository relies on, seen from outside: whole pytest runs of small test files."""

import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from textwrap import dedent
from uuid import uuid4

import pytest
from common.clock import utc_now
from common.db.engine import make_engine
from common.jwt import StaticKeys, TokenVerifier
from common.testing.tokens import TEST_ISSUER
from sqlalchemy import make_url, text

TABLES = """
    import pytest
    from sqlalchemy import Column, Integer, MetaData, Table, select, text

    METADATA = MetaData()
    PARENTS = Table("parents", METADATA, Column("id", Integer, primary_key=True))

    def add(database, number):
        with database.write() as session:
            session.execute(PARENTS.insert(), {"id": number})
            session.commit()

    def note(database):
        with open("used.txt", "a") as used:
            used.write(database.url.render_as_string(hide_password=False) + "\\n")

    def count(database):
        with database.read() as session:
            return len(session.execute(select(PARENTS)).all())

"""


@pytest.fixture
def run(tmp_path):
    """Runs pytest on a test file with the repository's fixtures; gives back the outcome."""

    def run(source, *arguments, **env):
        (tmp_path / "conftest.py").write_text('pytest_plugins = ["common.testing.plugin", "common.testing.tokens"]\n')
        (tmp_path / "test_inner.py").write_text(dedent(TABLES) + dedent(source))
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", *arguments, "."],
            cwd=tmp_path,
            env={name: value for name, value in {**os.environ, **env}.items() if value is not None},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def summary(done):
    """What pytest counted: "2 passed", "1 failed, 3 passed"."""
    return done.stdout.splitlines()[-1].rpartition(" in ")[0]


def left_over(folder):
    """Which of the MySQL databases that the run wrote down are still on the server."""
    used = {make_url(url).database for url in (folder / "used.txt").read_text().split()}
    assert used
    engine = make_engine(os.environ["TEST_MYSQL_URL"], pool_size=1)
    with engine.connect() as connection:
        names = set(connection.scalars(text("SHOW DATABASES")))
    engine.dispose()
    return used & names


needs_mysql = pytest.mark.skipif("TEST_MYSQL_URL" not in os.environ, reason="TEST_MYSQL_URL is not set")


def test_without_a_server_mysql_is_skipped_with_the_reason(run):
    done = run("def test(make_database): make_database(METADATA)", TEST_MYSQL_URL=None, REQUIRE_MYSQL=None)
    assert summary(done) == "1 passed, 1 skipped"
    assert "TEST_MYSQL_URL is not set" in done.stdout


def test_where_mysql_is_required_its_absence_fails(run):
    done = run("def test(make_database): make_database(METADATA)", TEST_MYSQL_URL=None, REQUIRE_MYSQL="1")
    assert done.returncode == 1
    assert "REQUIRE_MYSQL=1" in done.stdout


@needs_mysql
def test_tests_run_on_both_in_parallel_without_rows_and_leave_nothing(run, tmp_path):
    source = """
        @pytest.mark.parametrize("number", range(8))
        def test(make_database, number):
            database = make_database(METADATA)
            note(database)
            assert count(database) == 0
            add(database, 1)
    """
    assert summary(run(source, "-n", "2")) == "16 passed"
    assert not left_over(tmp_path)


@needs_mysql
def test_failures_and_errors_leave_no_database(run, tmp_path):
    source = """
        @pytest.fixture
        def broken(make_database):
            database = make_database(METADATA)
            note(database)
            yield database
            raise RuntimeError

        def test_fails(broken): assert broken is None
        def test_fails_at_its_end(broken): pass
        def test_leaves_an_empty_one(database_url_factory): assert database_url_factory(None) is None
        def test_stops(make_database):
            make_database(METADATA)
            raise KeyboardInterrupt
    """
    assert run(source, "-p", "no:randomly").returncode == 2  # interrupted
    assert not left_over(tmp_path)


def test_a_database_url_may_hold_nothing_yet(database_url_factory):
    url = database_url_factory(None)
    if url.startswith("mysql"):
        engine = make_engine(url, pool_size=1)
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SHOW TABLES").all() == []
        engine.dispose()
    else:
        assert not Path(make_url(url).database).exists()


def test_the_clock_moves_only_when_told(clock):
    before = clock()
    assert clock() == before
    clock.advance(1.5)
    assert clock() - before == timedelta(seconds=1.5)
    clock.now = before
    assert clock() == before
    assert before.tzinfo is not None


def test_ports_are_free_and_given_once(free_port):
    ports = [free_port() for _ in range(20)]
    assert len(set(ports)) == 20
    with socket.create_server(("127.0.0.1", ports[0])):
        pass


def test_a_port_that_comes_again_is_not_given_again(free_port, monkeypatch):
    first = free_port()
    offered = iter([first, first, 40404])
    monkeypatch.setattr("common.testing.plugin.socket.socket", lambda: FakeSocket(next(offered)))
    assert free_port() == 40404


class FakeSocket:
    def __init__(self, port):
        self.port = port

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def bind(self, address):
        assert address == ("127.0.0.1", 0)

    def getsockname(self):
        return ("127.0.0.1", self.port)


def test_tokens_pass_the_verifier(token_for, signing_key):
    user_id = uuid4()
    verifier = TokenVerifier(StaticKeys([signing_key.verifying_key]), TEST_ISSUER, frozenset({"api"}), utc_now)
    claims = verifier.verify(token_for(user_id, scopes=["contacts:read"]))
    assert claims.sub == str(user_id)
    assert claims.scopes == {"contacts:read"}
    assert claims.aud == "api"
