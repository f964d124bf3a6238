"""Logging out: the presented token is the proof, and twice is as good as once."""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from auth_service.models import Session
from common.db import Database
from flask import Flask
from sqlalchemy import delete

# For what is refused before the database is asked.
only_sqlite = pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)


@pytest.fixture
def revoked(sessions_of: Callable[[], list[Session]]) -> Callable[[], list[bool]]:
    """Reads which sessions have ended, oldest first."""
    return lambda: [session.revoked_at is not None for session in sessions_of()]


def test_a_bearer_token_ends_its_session_also_twice(
    person: Any,
    as_bearer: Callable[..., Any],
    *,
    bulletin: Any,
    audit_trail: Callable[..., Any],
    sessions_of: Callable[[], list[Session]],
    own_claims: Callable[[str], Any],
) -> None:
    tokens = person.tokens()
    for _ in range(2):
        response = person.client.post("/api/v1/auth/logout", headers=as_bearer(tokens["access_token"]))
        assert (response.status_code, response.data) == (204, b"")
    [session] = sessions_of()
    assert session.revoke_reason == "logout"
    assert (bulletin.session_ids, bulletin.were_ended) == ([session.id], [True])
    [event] = audit_trail("session_logout")
    assert (event.reason, event.session_id, event.subject_id) == ("logout", session.id, session.user_id)
    assert (event.actor_type, event.actor_id) == ("user", str(session.user_id))
    assert (event.jti, event.client_id) == (own_claims(tokens["access_token"]).jti, "redprint")
    assert person.refresh(tokens["refresh_token"]).status_code == 401


def test_a72_the_access_token_of_an_ended_session_is_refused_from_then_on(
    person: Any, as_bearer: Callable[..., Any], assert_problem: Callable[..., Any]
) -> None:
    tokens, other = person.tokens(), person.log_in().get_json()
    refreshed = person.refresh(tokens["refresh_token"]).get_json()
    assert person.post("logout", {"refresh_token": refreshed["refresh_token"]}).status_code == 204
    for token in (tokens["access_token"], refreshed["access_token"]):
        assert_problem(person.me(token), 401, "invalid-token")
        response = person.client.get("/api/v1/sessions", headers=as_bearer(token))
        assert_problem(response, 401, "invalid-token")
    assert person.me(other["access_token"]).status_code == 200


@only_sqlite
def test_a_chunked_body_of_nothing_is_no_body(person: Any, as_bearer: Callable[..., Any]) -> None:
    response = person.client.post(
        "/api/v1/auth/logout",
        input_stream=io.BytesIO(),
        headers=as_bearer(person.tokens()["access_token"]) | {"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert response.status_code == 204


@pytest.mark.parametrize("generation", [0, 1, 2], ids=["two back", "just used", "current"])
def test_a71_a_refresh_token_of_any_generation_ends_its_session_also_twice(
    person: Any,
    clock: Any,
    generation: int,
    *,
    bulletin: Any,
    audit_trail: Callable[..., Any],
    sessions_of: Callable[[], list[Session]],
) -> None:
    chain = [person.tokens()["refresh_token"]]
    for _ in range(2):
        clock.advance(60)
        chain.append(person.refresh(chain[-1]).get_json()["refresh_token"])
    for _ in range(2):
        assert person.post("logout", {"refresh_token": chain[generation]}).status_code == 204
    [session] = sessions_of()
    assert (session.revoke_reason, bulletin.session_ids, bulletin.were_ended) == ("logout", [session.id], [True])
    assert [event.reason for event in audit_trail("session_logout")] == ["logout"]
    for token in chain:
        assert person.refresh(token).status_code == 401
    assert audit_trail("authn_token_reuse") == []


def test_of_eight_logouts_at_once_one_ends_the_session(
    person: Any, app: Flask, make_person: Callable[..., Any], *, bulletin: Any, audit_trail: Callable[..., Any]
) -> None:
    token = person.tokens()["refresh_token"]

    def log_out(_: int) -> int:
        answer = make_person(app.test_client()).post("logout", {"refresh_token": token})
        return int(answer.status_code)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(log_out, range(8))) == {204}
    assert (len(bulletin.session_ids), len(audit_trail("session_logout"))) == (1, 1)


def test_a_session_that_ran_out_or_is_gone_ends_without_a_word(
    person: Any, owner: Database, clock: Any, as_bearer: Callable[..., Any]
) -> None:
    tokens = person.tokens()
    with owner.write() as session:
        session.execute(delete(Session))
        session.commit()
    response = person.client.post("/api/v1/auth/logout", headers=as_bearer(tokens["access_token"]))
    assert response.status_code == 204
    late = person.log_in().get_json()["refresh_token"]
    clock.advance(30 * 24 * 3600)
    assert person.post("logout", {"refresh_token": late}).status_code == 204


def test_a_logout_whose_commit_failed_ends_nothing_and_tells_nobody(
    person: Any,
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
    *,
    bulletin: Any,
    audit_trail: Callable[..., Any],
    revoked: Callable[[], list[bool]],
) -> None:
    from common.db import WriteSession

    token = person.tokens()["refresh_token"]

    def fail(_session: WriteSession) -> None:
        raise RuntimeError

    monkeypatch.setattr(WriteSession, "commit", fail)
    assert person.post("logout", {"refresh_token": token}).status_code == 500
    monkeypatch.undo()
    assert (revoked(), audit_trail("session_logout")) == ([False], [])
    assert bulletin.session_ids == []


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
    assert_problem(person.post("logout", {"refresh_token": "x"}), 401, "invalid-grant")
    for token in (tokens["refresh_token"], tokens["access_token"][:-8] + "AAAAAAAA", "x"):
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
