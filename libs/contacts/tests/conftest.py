"""A database with the contacts tables, and importers into it."""

from collections.abc import Callable

import pytest
from common.db import Database
from common.testing.databases import Schema
from contacts.models import Base
from contacts.testing import Importer


@pytest.fixture
def database(make_database: Callable[[Schema], Database]) -> Database:
    return make_database(Base.metadata)


@pytest.fixture
def importer(database: Database) -> Importer:
    return Importer(database)


@pytest.fixture
def new_importer(database: Database) -> Callable[[], Importer]:
    """Importers of different owners on one database."""
    return lambda: Importer(database)
