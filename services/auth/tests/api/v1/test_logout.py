"""Logging out: the presented token is the proof, and twice is as good as once."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from auth_service.models import Session
from flask import Flask
from sqlalchemy import select

# For what is refused before the database is asked.
only_sqlite = pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)


@pytest.fixture
def revoked(app: Flask) -> Callable[[], list[bool]]:
    def read() -> list[bool]:
        with app.extensions["database"].read() as session:
            return [moment is not None for moment in session.scalars(select(Session.revoked_at).order_by(Session.id))]

    return read


def test_a_bearer_token_ends_its_session_also_twice(
    person: Any, as_bearer: Callable[..., Any], revoked: Callable[[], list[bool]]
) -> None:
    tokens = person.tokens()
    for _ in range(2):
        response = person.client.post("/api/v1/auth/logout", headers=as_bearer(tokens["access_token"]))
        assert (response.status_code, response.data) == (204, b"")
    assert revoked() == [True]
    assert person.refresh(tokens["refresh_token"]).status_code == 401


@only_sqlite
def test_a_chunked_body_of_nothing_is_no_body(person: Any, as_bearer: Callable[..., Any]) -> None:
    response = person.client.post(
        "/api/v1/auth/logout",
        input_stream=io.BytesIO(),
        headers=as_bearer(person.tokens()["access_token"]) | {"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert response.status_code == 204


def test_a_refresh_token_ends_its_session_also_twice(person: Any, revoked: Callable[[], list[bool]]) -> None:
    token = person.tokens()["refresh_token"]
    for _ in range(2):
        assert person.post("logout", {"refresh_token": token}).status_code == 204
    assert revoked() == [True]


def test_a_refresh_token_is_proof_enough_beside_an_expired_bearer_token(
    person: Any, as_bearer: Callable[..., Any], clock: Any
) -> None:
    tokens = person.tokens()
    clock.advance(3600)
    headers = as_bearer(tokens["access_token"])
    assert person.post("logout", {"refresh_token": tokens["refresh_token"]}, headers=headers).status_code == 204


def test_other_sessions_go_on(person: Any, revoked: Callable[[], list[bool]]) -> None:
    first, second = person.tokens(), person.log_in().get_json()
    assert person.post("logout", {"refresh_token": first["refresh_token"]}).status_code == 204
    assert revoked() == [True, False]
    assert person.refresh(second["refresh_token"]).status_code == 200


@only_sqlite
@pytest.mark.parametrize("body", [None, {}, {"refresh_token": None}])
def test_without_any_token_it_is_refused(person: Any, assert_problem: Callable[..., Any], body: object) -> None:
    options = {} if body is None else {"json": body}
    response = person.client.post("/api/v1/auth/logout", **options)
    assert_problem(response, 401, "authentication-required")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="redprint"'


def test_a_token_that_proves_nothing_is_refused_and_ends_nothing(
    person: Any, as_bearer: Callable[..., Any], assert_problem: Callable[..., Any], revoked: Callable[[], list[bool]]
) -> None:
    tokens = person.tokens()
    used = tokens["refresh_token"]
    person.refresh(used)
    assert_problem(person.post("logout", {"refresh_token": used}), 401, "invalid-grant")
    assert_problem(person.post("logout", {"refresh_token": "x"}), 401, "invalid-grant")
    for token in (used, tokens["access_token"][:-8] + "AAAAAAAA", "x"):
        response = person.client.post("/api/v1/auth/logout", headers=as_bearer(token))
        assert_problem(response, 401, "invalid-token")
    assert revoked() == [False]


@only_sqlite
def test_a_body_of_another_shape_is_refused(person: Any, assert_problem: Callable[..., Any]) -> None:
    assert_problem(person.post("logout", {"refresh_token": 7}), 422, "validation-failed")
    assert_problem(person.post("logout", {"session": "all"}), 422, "validation-failed")
    response = person.client.post("/api/v1/auth/logout", data="{", content_type="application/json")
    assert_problem(response, 400, "malformed-json")
    response = person.client.post("/api/v1/auth/logout", data="refresh_token=x", content_type="text/plain")
    assert_problem(response, 415, "unsupported-media-type")
