"""What a test is handed, and what it may leave behind."""

import os
import time
from uuid import uuid4

import pytest
from common.db.engine import make_engine
from common.testing.databases import MySQLDatabases, SQLiteDatabases
from sqlalchemy import Column, Integer, MetaData, Table, func, select

METADATA = MetaData()
PARENTS = Table("parents", METADATA, Column("id", Integer, primary_key=True))


@pytest.fixture
def source(database_backend, database_sources, tmp_path):
    """A source of its own, so that what is tested does not touch the databases of other tests."""
    database_sources(database_backend)  # skips or fails without a server
    if database_backend == "mysql":
        source = MySQLDatabases(os.environ["TEST_MYSQL_URL"], f"w{uuid4().hex[:6]}")
    else:
        source = SQLiteDatabases(tmp_path / "databases")
        (tmp_path / "databases").mkdir()
    yield source
    source.drop_all()


def add(database, *numbers):
    with database.write() as session:
        session.execute(PARENTS.insert(), [{"id": number} for number in numbers])
        session.commit()


def count(database):
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(PARENTS))


def use(source, work):
    """A test's life: it gets a database without rows, works with it and goes."""
    url = source.acquire(METADATA)
    database = source.open(url)
    assert count(database) == 0
    work(database)
    source.close(database)
    source.release(url)


def test_rows_are_gone_with_the_test(source):
    for _ in range(3):
        use(source, lambda database: add(database, 1, 2))


def test_many_rows_are_gone_too(source):
    for _ in range(2):
        use(source, lambda database: add(database, *range(1, 2500)))


def test_the_revision_of_the_schema_stays(source):
    versions = Table("alembic_version", MetaData(), Column("version_num", Integer))
    for expected in (0, 1):
        url = source.acquire([METADATA, versions.metadata])
        database = source.open(url)
        with database.write() as session:
            if not expected:
                session.execute(versions.insert(), {"version_num": 1})
            elif database.dialect_name == "mysql":
                assert session.scalar(select(versions)) == 1
            session.commit()
        source.close(database)
        source.release(url)


def test_an_open_transaction_does_not_hold_up_the_next_test(source):
    left_open = []

    def leave_open(database):
        add(database, 1)
        left_open.append(database.new_session(read_only=False))
        left_open[-1].execute(PARENTS.insert(), {"id": 2})

    started = time.monotonic()
    for _ in range(3):
        use(source, leave_open)
    assert time.monotonic() - started < 4
    for session in left_open:
        session.invalidate()


def test_two_databases_of_one_test_are_apart(source):
    first, second = (source.open(source.acquire(METADATA)) for _ in range(2))
    add(first, 1)
    assert count(second) == 0
    source.close(first)
    source.close(second)


def test_a_database_without_a_schema_is_for_one_test(source):
    url = source.acquire(None)
    source.release(url)
    assert source.acquire(None) != url


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_leftovers_of_killed_runs_are_dropped_a_day_later(source):
    worker = f"w{uuid4().hex[:6]}"
    old, fresh = (f"redprint_test_{int(time.time() - age)}_{worker}_0" for age in (25 * 3600, 3600))
    engine = make_engine(os.environ["TEST_MYSQL_URL"], pool_size=1)
    with engine.connect() as connection:
        for name in (old, fresh):
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        MySQLDatabases(os.environ["TEST_MYSQL_URL"], worker).drop_all()
        assert connection.exec_driver_sql(f"SHOW DATABASES LIKE '%%{worker}%%'").scalars().all() == [fresh]
        connection.exec_driver_sql(f"DROP DATABASE {fresh}")
    engine.dispose()
