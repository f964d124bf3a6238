"""The caller's own account."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from auth_service.models import User
from common.db import Database
from common.testing.statements import statements
from flask import Flask
from sqlalchemy import text, update

# For what is refused before the database is asked.
only_sqlite = pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)


def test_an_account_shows_what_its_owner_may_know(person: Any, clock: Any) -> None:
    body = person.me(person.tokens()["access_token"]).get_json()
    assert body.pop("id")
    assert body == {
        "email": person.email,
        "email_verified": False,
        "name": None,
        "created_at": clock().isoformat().replace("+00:00", "Z"),
        "updated_at": clock().isoformat().replace("+00:00", "Z"),
    }


def change(person: Any, token: str, body: object) -> Any:
    return person.client.patch("/api/v1/users/me", json=body, headers={"Authorization": f"Bearer {token}"})


def test_the_name_is_changed_and_taken_away(person: Any, clock: Any) -> None:
    token = person.tokens()["access_token"]
    clock.advance(5)
    changed = change(person, token, {"name": "Ada Lovelace"})
    assert (changed.status_code, changed.get_json()["name"]) == (200, "Ada Lovelace")
    assert changed.get_json()["updated_at"] > changed.get_json()["created_at"]
    assert person.me(token).get_json() == changed.get_json()
    assert change(person, token, {"name": None}).get_json()["name"] is None


def test_nothing_said_and_nothing_new_change_nothing(person: Any, clock: Any) -> None:
    token = person.tokens()["access_token"]
    before = change(person, token, {"name": "Ada"}).get_json()
    clock.advance(5)
    assert change(person, token, {}).get_json() == before
    assert change(person, token, {"name": "Ada"}).get_json() == before


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_a_connection_lost_while_the_name_changes_costs_the_client_nothing(
    person: Any, app: Flask, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = person.tokens()["access_token"]
    killed: list[int] = []

    def kill_all_once() -> datetime:
        """The use case asks for the time between its SELECT and its UPDATE."""
        if not killed:
            killed.extend(kill_connections(app.extensions["database"]))
        return clock.now

    deps = replace(app.extensions["auth_dependencies"], clock=kill_all_once)
    monkeypatch.setitem(app.extensions, "auth_dependencies", deps)
    changed = change(person, token, {"name": "Ada"})
    assert killed
    assert (changed.status_code, changed.get_json()["name"]) == (200, "Ada")


def kill_connections(database: Database) -> list[int]:
    """End every connection of a MySQL database but the one that does it."""
    others = text("SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()")
    with database.engine.connect() as connection:
        found = list(connection.scalars(others))
        for number in found:
            connection.exec_driver_sql(f"KILL {number}")
    return found


@only_sqlite
@pytest.mark.parametrize("body", [{"name": ""}, {"name": 7}, {"name": "a\0b"}, {"email": "x@example.com"}, [], "x"])
def test_a_body_of_another_shape_is_refused(person: Any, assert_problem: Callable[..., Any], body: object) -> None:
    assert_problem(change(person, person.tokens()["access_token"], body), 422, "validation-failed")


@pytest.mark.parametrize("status", ["disabled", None], ids=["disabled", "deleted"])
def test_a_token_of_an_account_that_is_gone_is_refused(
    person: Any, owner: Database, assert_problem: Callable[..., Any], status: str | None
) -> None:
    token = person.tokens()["access_token"]
    with owner.write() as session:
        if status is None:
            session.delete(session.query(User).one())
        else:
            session.execute(update(User).values(status=status))
        session.commit()
    for response in (person.me(token), change(person, token, {"name": "Ada"})):
        assert_problem(response, 401, "invalid-token")
        assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


def test_reading_the_account_costs_one_statement_and_a_refused_token_none(
    person: Any, app: Flask, owner: Database
) -> None:
    token = person.tokens()["access_token"]
    person.me(token)
    with statements(app.extensions["database"], owner.url) as read:
        assert person.me(token).status_code == 200
    with statements(app.extensions["database"], owner.url) as refused:
        assert person.me(token[:-8] + "AAAAAAAA").status_code == 401
        assert person.client.get("/api/v1/users/me").status_code == 401
    assert (read.total, refused.total) == (1, 0)
