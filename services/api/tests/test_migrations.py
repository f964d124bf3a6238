"""The schema the revisions make."""

from collections.abc import Callable

import jobs.files  # noqa: F401 - its tables are in the metadata of jobs
import pytest
from common import idempotency
from common.db import Database, migrate, schema_is_current
from common.testing.databases import Schema
from common.testing.schemas import assert_migrations_go_on_where_they_stopped, assert_models_match_migrations
from common.testing.users import assert_every_table_is_declared
from contacts.models import Base as Contacts
from jobs.models import Base as Jobs


def test_migrations_make_the_tables_the_models_describe(make_database: Callable[[Schema], Database]) -> None:
    assert_models_match_migrations(make_database, "api_service", Contacts.metadata, Jobs.metadata, idempotency.metadata)


def test_every_role_says_what_it_may_do_with_every_table() -> None:
    assert_every_table_is_declared("api_service", Contacts.metadata, Jobs.metadata, idempotency.metadata)


def test_an_empty_database_is_not_current_until_it_is_migrated(make_database: Callable[[Schema], Database]) -> None:
    database = make_database(None)
    assert not schema_is_current(database, "api_service")
    url = database.url.render_as_string(hide_password=False)
    assert migrate(url, "api_service") == [
        "0001_contacts_and_jobs",
        "0002_effects_and_schedules",
        "0003_idempotency_keys",
    ]
    assert schema_is_current(database, "api_service")
    assert migrate(url, "api_service") == []


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_migrations_go_on_where_they_stopped(
    database_url_factory: Callable[[Schema], str], make_database: Callable[[Schema], Database]
) -> None:
    assert_migrations_go_on_where_they_stopped(make_database, "api_service", database_url_factory(None))
