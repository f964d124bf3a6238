"""A job store on each database, empty at the start of each test."""

from collections.abc import Callable

import pytest
from common.db import Database
from jobs.models import Base
from jobs.testing import StoreHarness
from sqlalchemy import MetaData


@pytest.fixture
def database(make_database: Callable[[MetaData], Database]) -> Database:
    return make_database(Base.metadata)


@pytest.fixture
def store(database: Database) -> StoreHarness:
    return StoreHarness(database)
