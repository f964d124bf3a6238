"""Revoking a token the way OAuth clients do (RFC 7009)."""

import io
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from auth_service.models import Session
from flask import Flask
from sqlalchemy import update

FORM = "application/x-www-form-urlencoded"
only_sqlite = pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)

Revoke = Callable[..., Any]


@pytest.fixture
def revoke(client: Any) -> Revoke:
    def ask(token: str, **more: str) -> Any:
        return client.post("/oauth/revoke", data={"token": token, "client_id": "redprint"} | more)

    return ask


def assert_refused(response: Any, status: int, error: str) -> None:
    """As RFC 6749 section 5.2 has it."""
    body = response.get_json()
    assert (response.status_code, body["error"]) == (status, error)
    assert body.keys() == {"error", "error_description"}
    assert response.content_type == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    challenge = response.headers.get("WWW-Authenticate")
    assert challenge == ('Basic realm="redprint"' if status == 401 else None)


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
@pytest.mark.parametrize("hint", [{}, {"token_type_hint": "refresh_token"}, {"token_type_hint": "wrong"}], ids=str)
def test_a_token_of_either_kind_ends_its_session_whatever_the_hint_also_twice(
    person: Any,
    revoke: Revoke,
    kind: str,
    hint: dict[str, str],
    *,
    bulletin: Any,
    audit_trail: Callable[..., Any],
    sessions_of: Callable[[], list[Session]],
) -> None:
    tokens, other = person.tokens(), person.log_in().get_json()
    for _ in range(2):
        response = revoke(tokens[kind], **hint)
        assert (response.status_code, response.data) == (200, b"")
        assert response.headers["Cache-Control"] == "no-store"
    ended, going_on = sessions_of()
    assert (ended.revoke_reason, going_on.revoked_at) == ("revoked", None)
    assert (bulletin.session_ids, bulletin.were_ended) == ([ended.id], [True])
    events = audit_trail("authn_token_revoked", "session_logout")
    assert [event.event for event in events] == ["authn_token_revoked", "session_logout"]
    assert {(event.session_id, event.client_id) for event in events} == {(ended.id, "redprint")}
    assert person.refresh(tokens["refresh_token"]).status_code == 401
    assert person.me(tokens["access_token"]).status_code == 401
    assert person.refresh(other["refresh_token"]).status_code == 200


def test_an_old_refresh_token_ends_its_session_without_an_alarm(
    person: Any, revoke: Revoke, clock: Any, audit_trail: Callable[..., Any]
) -> None:
    first = person.tokens()["refresh_token"]
    current = person.refresh(first).get_json()["refresh_token"]
    clock.advance(3600)
    assert revoke(first).status_code == 200
    assert person.refresh(current).status_code == 401
    assert audit_trail("authn_token_reuse") == []


def test_a70_what_is_no_valid_token_is_revoked_already_and_ends_nothing(
    person: Any, revoke: Revoke, clock: Any, *, bulletin: Any, sessions_of: Callable[[], list[Session]]
) -> None:
    tokens = person.tokens()
    expired = person.log_in().get_json()["access_token"]
    forged = tokens["refresh_token"][:-6] + "AAAAAA"
    for text in ("x", "rt1.1.2.3", forged, tokens["access_token"][:-8] + "AAAAAAAA", "eyJ.eyJ.x", "\u00e9", "x" * 9000):
        assert revoke(text).status_code == 200
    clock.advance(3600)
    assert revoke(expired).status_code == 200
    assert {session.revoked_at for session in sessions_of()} == {None}
    assert bulletin.session_ids == []


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_a69_a_token_of_another_client_is_refused_and_goes_on(
    person: Any, app: Flask, revoke: Revoke, kind: str, *, sessions_of: Callable[[], list[Session]]
) -> None:
    tokens = person.tokens()
    deps = app.extensions["auth_dependencies"]
    with deps.database.write() as session:
        session.execute(update(Session).values(client_id="another"))
        session.commit()
    [row] = sessions_of()
    tokens["access_token"] = deps.token_issuer.issue(
        row.user_id, audience="api", scopes=(), client_id="another", session_id=row.id
    )
    assert_refused(revoke(tokens[kind]), 400, "invalid_grant")
    assert sessions_of()[0].revoked_at is None


def test_a_services_own_token_has_no_session_to_end(app: Flask, revoke: Revoke) -> None:
    issuer = app.extensions["auth_dependencies"].token_issuer
    token = issuer.issue("redprint", audience="auth", scopes=(), client_id="redprint")
    assert revoke(token).status_code == 200


@only_sqlite
@pytest.mark.parametrize("client_id", ["another", "", "Redprint"])
def test_another_client_is_unknown(person: Any, revoke: Revoke, client_id: str) -> None:
    assert_refused(revoke(person.tokens()["refresh_token"], client_id=client_id), 401, "invalid_client")


@only_sqlite
def test_a_client_that_brings_credentials_is_unknown(person: Any, client: Any) -> None:
    token = person.tokens()["refresh_token"]
    response = client.post("/oauth/revoke", data={"token": token, "client_id": "redprint"}, auth=("redprint", "x"))
    assert_refused(response, 401, "invalid_client")
    assert_refused(client.post("/oauth/revoke", data={"token": token}), 401, "invalid_client")
    assert person.refresh(token).status_code == 200


@only_sqlite
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("client_id=redprint", FORM),
        ("client_id=redprint&token=", FORM),
        ("client_id=redprint&token=x&token=y", FORM),
        ("client_id=redprint&client_id=redprint&token=x", FORM),
        ("client_id=redprint&token=%ff", FORM),
        (b"client_id=redprint&token=\xff", FORM),
        ("client_id=redprint&token=x" + "&a=1" * 50, FORM),
        ('{"client_id": "redprint", "token": "x"}', "application/json"),
        ("client_id=redprint&token=x", "text/plain"),
        ("client_id=redprint&token=x", None),
    ],
)
def test_what_is_no_form_with_one_token_is_an_invalid_request(client: Any, body: object, content_type: Any) -> None:
    assert_refused(client.post("/oauth/revoke", data=body, content_type=content_type), 400, "invalid_request")


@only_sqlite
def test_unknown_parameters_are_ignored_and_a_charset_is_allowed(person: Any, client: Any) -> None:
    form = urlencode({"token": person.tokens()["refresh_token"], "client_id": "redprint", "more": "x"})
    response = client.post("/oauth/revoke", data=form, content_type=f"{FORM}; charset=UTF-8")
    assert response.status_code == 200


@only_sqlite
def test_a_form_is_small(client: Any, assert_problem: Callable[..., Any]) -> None:
    form = urlencode({"client_id": "redprint", "token": "x" * 17_000})
    response = client.post("/oauth/revoke", data=form, content_type=FORM)
    assert_problem(response, 413, "content-too-large")
    response = client.post(
        "/oauth/revoke",
        input_stream=io.BytesIO(form.encode()),
        content_type=FORM,
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert_problem(response, 413, "content-too-large")


@only_sqlite
def test_a_token_in_the_url_is_refused(client: Any, assert_problem: Callable[..., Any]) -> None:
    assert_problem(client.post("/oauth/revoke?token=x", data={}), 422, "validation-failed")
    assert_problem(client.get("/oauth/revoke"), 405, "method-not-allowed")
