"""The fixtures of the whole repository, loaded by the `conftest.py` at its root (so, after coverage has started)."""

import logging
import os
import socket
from collections.abc import Callable, Iterator

import hypothesis
import pytest
import structlog

from common.db import Database
from common.logging import StructlogHandler
from common.testing.clock import SettableClock
from common.testing.databases import DatabaseSource, MySQLDatabases, Schema, SQLiteDatabases

_NO_MYSQL = "TEST_MYSQL_URL is not set, so nothing is tested on MySQL here (`make test` finds or starts a server)"

# How long an example takes says more about the machine than about the code. Databases are made once for a test; its
# examples have owners of their own in them.
hypothesis.settings.register_profile(
    "redprint",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("redprint")


@pytest.fixture(autouse=True)
def fresh_logs() -> None:
    """Logs as a process finds them: neither configured by another test's application nor with its request's fields."""
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, StructlogHandler)]
    root.setLevel(logging.WARNING)


@pytest.fixture(params=["sqlite", "mysql"])
def database_backend(request: pytest.FixtureRequest) -> str:
    """`sqlite` or `mysql`: a test that uses it, or a database, runs once on each.

    To run on one only: `@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)`.
    """
    backend: str = request.param
    return backend


@pytest.fixture(scope="session")
def database_sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], DatabaseSource]]:
    """The databases of this process by back end, dropped at its end whatever happened."""
    sources: dict[str, DatabaseSource] = {}

    def source(backend: str) -> DatabaseSource:
        if backend not in sources:
            sources[backend] = (
                _mysql_databases() if backend == "mysql" else SQLiteDatabases(tmp_path_factory.mktemp("databases"))
            )
        return sources[backend]

    yield source
    for used in sources.values():
        used.drop_all()


def _mysql_databases() -> MySQLDatabases:
    url = os.environ.get("TEST_MYSQL_URL")
    if url:
        return MySQLDatabases(url, os.environ.get("PYTEST_XDIST_WORKER", "main"))
    if os.environ.get("REQUIRE_MYSQL") == "1":
        pytest.fail("REQUIRE_MYSQL=1, but " + _NO_MYSQL, pytrace=False)
    pytest.skip(_NO_MYSQL)


@pytest.fixture
def database_url_factory(
    database_backend: str, database_sources: Callable[[str], DatabaseSource]
) -> Iterator[Callable[[Schema], str]]:
    """Makes databases for this test and gives back their URLs; see `Schema` for what they can hold."""
    source = database_sources(database_backend)
    acquired: list[str] = []

    def acquire(schema: Schema) -> str:
        acquired.append(source.acquire(schema))
        return acquired[-1]

    yield acquire
    for url in acquired:
        source.release(url)


@pytest.fixture
def as_role(database_backend: str, database_sources: Callable[[str], DatabaseSource]) -> Callable[[str, str, str], str]:
    """The URL of a migrated database of this test for the role of a package: `as_role(url, "auth_service", "app")`.

    On MySQL its user has what the package grants to the role, so a test that uses it also shows that this is enough.
    """
    return database_sources(database_backend).as_role


@pytest.fixture
def new_mysql_user(database_sources: Callable[[str], DatabaseSource]) -> Callable[..., str]:
    """`new_mysql_user(url)` is the URL for a new user of the server, `(url, migrates=True)` for one that migrates."""
    source = database_sources("mysql")
    assert isinstance(source, MySQLDatabases)  # noqa: S101 - for the type checker
    return source.new_user


@pytest.fixture
def make_database(
    database_backend: str,
    database_sources: Callable[[str], DatabaseSource],
    database_url_factory: Callable[[Schema], str],
) -> Iterator[Callable[[Schema], Database]]:
    """Makes databases for this test, migrated (`make_database("auth_service")`) or of models (`(Base.metadata)`)."""
    source = database_sources(database_backend)
    opened: list[Database] = []

    def make(schema: Schema) -> Database:
        opened.append(source.open(database_url_factory(schema)))
        return opened[-1]

    yield make
    for database in opened:
        source.close(database)


@pytest.fixture
def clock() -> SettableClock:
    """A clock that moves only when the test says so."""
    return SettableClock()


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Gives a TCP port of 127.0.0.1 nobody listens on, each one once."""
    given: set[int] = set()

    def find() -> int:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port: int = probe.getsockname()[1]
            if port not in given:
                given.add(port)
                return port

    return find
