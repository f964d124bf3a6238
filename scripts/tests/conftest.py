"""A running product for the tests that break it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from common.testing.valkey import ValkeyServer
from devtools.drills.product import Product
from devtools.live import TIMES, Client, LiveStack, pick_ports
from devtools.run.prepare import make_folders, make_keys
from devtools.run.stack import Stack


@pytest.fixture
def live(tmp_path: Path, database_url_factory: Callable[[str], str]) -> Iterator[LiveStack]:
    """All services, running on empty databases."""
    make_folders(tmp_path)
    databases = (database_url_factory("auth_service"), database_url_factory("api_service"))
    stack = Stack(tmp_path, pick_ports(), *databases, extra=TIMES)
    make_keys(stack)
    running = LiveStack(stack)
    try:
        running.start_all()
        yield running
    finally:
        running.end()
        for service in stack.services():  # pytest shows what is printed of tests that fail
            print(f"--- {service.name}\n{running.log(service.name)}")  # noqa: T201


@pytest.fixture
def client(live: LiveStack) -> Client:
    """Somebody who has just logged in."""
    return Client(live.stack.auth_url, live.stack.api_url)


@pytest.fixture
def auth_database(database_url_factory: Callable[[str], str]) -> str:
    """The database of auth in `product`; a test may name another."""
    return database_url_factory("auth_service")


@pytest.fixture
def product(
    tmp_path: Path,
    auth_database: str,
    database_url_factory: Callable[[str], str],
    make_valkey: Callable[..., ValkeyServer],
) -> Iterator[Product]:
    """auth and api, two processes each, running on empty databases; a killed Valkey comes back with what it held."""
    valkey = make_valkey("--appendonly", "yes")
    made = Product.prepare(tmp_path / "product", valkey, auth_database, database_url_factory("api_service"))
    try:
        made.live.start_web()
        yield made
    finally:
        made.end()
        for name in ("auth", "api"):  # pytest shows what is printed of tests that fail
            print(f"--- {name}\n{made.live.log(name)}")  # noqa: T201
