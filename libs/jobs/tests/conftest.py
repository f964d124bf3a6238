"""A job store on each database, empty at the start of each test."""

from collections.abc import Callable, Iterator

import pytest
import structlog
from common.db import Database
from jobs.models import Base
from jobs.testing import StoreHarness
from sqlalchemy import MetaData


@pytest.fixture(autouse=True)
def _plain_logs() -> Iterator[None]:
    # Unconfigured, structlog prints each traceback in colours and with all local variables, which takes seconds.
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.dev.ConsoleRenderer(colors=False)])
    yield
    structlog.reset_defaults()


@pytest.fixture
def database(make_database: Callable[[MetaData], Database]) -> Database:
    return make_database(Base.metadata)


@pytest.fixture
def store(database: Database) -> StoreHarness:
    return StoreHarness(database)
