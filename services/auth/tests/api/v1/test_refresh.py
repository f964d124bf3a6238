"""Refreshing: each token works once, within its times, for an active user."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from auth_service.models import Session, User
from common.ids import new_id
from flask import Flask
from sqlalchemy import select, update

# For what is refused before the database is asked.
only_sqlite = pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)

DAY = 24 * 3600


def test_a_refresh_gives_new_tokens_for_the_same_session(person: Any, app: Flask, clock: Any) -> None:
    first = person.tokens()
    clock.advance(60)
    response = person.refresh(first["refresh_token"])
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    second = response.get_json()
    assert second.keys() == first.keys()
    assert second["refresh_token"] != first["refresh_token"]
    assert person.me(second["access_token"]).status_code == 200
    with app.extensions["database"].read() as session:
        row = session.scalars(select(Session)).one()
    assert row.last_used_at == clock()


def test_a_refresh_token_works_once(person: Any, assert_problem: Callable[..., Any]) -> None:
    first = person.tokens()["refresh_token"]
    second = person.refresh(first).get_json()["refresh_token"]
    assert_problem(person.refresh(first), 401, "invalid-grant")
    assert person.refresh(second).status_code == 200


def test_of_eight_refreshes_at_once_exactly_one_succeeds(
    app: Flask, person: Any, make_person: Callable[..., Any]
) -> None:
    token = person.tokens()["refresh_token"]
    for _ in range(5):

        def refresh(_: int, token: str = token) -> Any:
            return make_person(app.test_client()).refresh(token)

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(refresh, range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
        token = next(answer for answer in answers if answer.status_code == 200).get_json()["refresh_token"]


def test_an_idle_session_ends(person: Any, clock: Any, assert_problem: Callable[..., Any]) -> None:
    token = person.tokens()["refresh_token"]
    clock.advance(7 * DAY - 1)
    token = person.refresh(token).get_json()["refresh_token"]
    clock.advance(7 * DAY)
    assert_problem(person.refresh(token), 401, "invalid-grant")


def test_a_session_ends_at_its_absolute_limit_however_often_it_is_used(
    person: Any, clock: Any, assert_problem: Callable[..., Any]
) -> None:
    token = person.tokens()["refresh_token"]
    for _ in range(5):
        clock.advance(5 * DAY)
        body = person.refresh(token).get_json()
        token = body["refresh_token"]
    assert body["refresh_expires_in"] == 5 * DAY  # no promise beyond the limit
    clock.advance(5 * DAY)
    assert_problem(person.refresh(token), 401, "invalid-grant")


def test_a_disabled_user_gets_no_new_tokens(person: Any, app: Flask, assert_problem: Callable[..., Any]) -> None:
    token = person.tokens()["refresh_token"]
    with app.extensions["database"].write() as session:
        session.execute(update(User).values(status="disabled"))
        session.commit()
    assert_problem(person.refresh(token), 401, "invalid-grant")


def test_a_refused_refresh_changes_nothing(person: Any, app: Flask) -> None:
    token = person.tokens()["refresh_token"]
    forged = token[:-6] + ("AAAAAA" if token[-6:] != "AAAAAA" else "BBBBBB")
    assert person.refresh(forged).status_code == 401
    assert person.refresh(token).status_code == 200


def test_what_is_no_refresh_token_is_refused(person: Any, assert_problem: Callable[..., Any]) -> None:
    tokens = person.tokens()
    genuine = tokens["refresh_token"]
    for text in ("x", "rt0.", genuine[:-1], genuine + "A", genuine.replace("rt0", "rt1"), tokens["access_token"], "é"):
        assert_problem(person.refresh(text), 401, "invalid-grant")
    from auth_service.refresh_tokens import RefreshToken

    assert_problem(person.refresh(str(RefreshToken.new(new_id()))), 401, "invalid-grant")


@only_sqlite
@pytest.mark.parametrize("body", [{}, {"refresh_token": ""}, {"refresh_token": None}, {"refresh_token": "x" * 1025}])
def test_a_body_without_a_token_is_refused(
    person: Any, assert_problem: Callable[..., Any], body: dict[str, object]
) -> None:
    assert_problem(person.post("refresh", body), 422, "validation-failed")


def test_the_audience_stays_unless_another_is_named(person: Any) -> None:
    person.register()
    body = person.log_in(resource="auth").get_json()
    body = person.refresh(body["refresh_token"]).get_json()
    assert body["scope"] == ""
    body = person.refresh(body["refresh_token"], resource="api").get_json()
    assert body["scope"] == "contacts:read contacts:write jobs:read jobs:write"
    assert person.refresh(body["refresh_token"]).get_json()["scope"] == ""
