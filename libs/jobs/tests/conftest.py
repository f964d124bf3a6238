"""A job store on each database, empty at the start of each test."""

import os
from collections.abc import Iterator

import pytest
from common.db import Database
from common.ids import new_id
from jobs.models import Base
from jobs.testing import StoreHarness
from sqlalchemy import create_engine, make_url, text


@pytest.fixture(scope="session", params=["sqlite", "mysql"])
def store_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('store') / 'jobs.db'}"
        return
    yield from _mysql_database()


def _mysql_database() -> Iterator[str]:
    if "TEST_MYSQL_URL" not in os.environ:
        pytest.skip("TEST_MYSQL_URL is not set")
    server = make_url(os.environ["TEST_MYSQL_URL"])
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    name = f"test_jobs_{new_id().hex}"
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
        yield server.set(database=name).render_as_string(hide_password=False)
        connection.execute(text(f"DROP DATABASE {name}"))
    engine.dispose()


@pytest.fixture(scope="session")
def _created(store_url: str) -> str:
    database = Database(store_url)
    with database.write() as session:
        Base.metadata.create_all(session.connection())
        session.commit()
    database.dispose()
    return store_url


@pytest.fixture
def database(_created: str) -> Iterator[Database]:
    database = Database(_created, pool_size=8)
    yield database
    with database.write() as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(table.delete())
        session.commit()
    database.dispose()


@pytest.fixture
def store(database: Database) -> StoreHarness:
    return StoreHarness(database)
