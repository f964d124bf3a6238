"""The migrations lead to the tables the models describe, there and back."""

from collections.abc import Callable
from typing import Any

from auth_service.models import Base
from common.db import migrate, schema_is_current
from common.testing.schemas import assert_models_match_migrations
from common.testing.users import assert_every_table_is_declared


def test_migrations_and_models_describe_the_same_tables(make_database: Callable[..., Any]) -> None:
    assert_models_match_migrations(make_database, "auth_service", Base.metadata)


def test_every_role_says_what_it_may_do_with_every_table() -> None:
    assert_every_table_is_declared("auth_service", Base.metadata)


def test_an_empty_database_is_migrated_once(database_url_factory: Callable[..., str]) -> None:
    url = database_url_factory(None)
    assert migrate(url, "auth_service") == ["0001_users_and_sessions"]
    assert migrate(url, "auth_service") == []


def test_a_migrated_database_is_ready_and_an_empty_one_is_not(make_database: Callable[..., Any]) -> None:
    assert schema_is_current(make_database("auth_service"), "auth_service")
    assert not schema_is_current(make_database(None), "auth_service")
