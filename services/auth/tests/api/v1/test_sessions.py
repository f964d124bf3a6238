"""The list of sessions, and ending one of them from another."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from auth_service.models import Session, User
from common.db import Database
from common.ids import new_id
from common.testing.statements import statements
from flask import Flask
from sqlalchemy import update

DAY = 24 * 3600
only_sqlite = pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)
only_mysql = pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)

Ask = Callable[..., Any]


@pytest.fixture
def show(client: Any, as_bearer: Callable[..., Any]) -> Ask:
    """Lists the sessions of a token."""

    def ask(token: str, **query: object) -> Any:
        return client.get("/api/v1/sessions", headers=as_bearer(token), query_string=query)

    return ask


@pytest.fixture
def revoke(client: Any, as_bearer: Callable[..., Any]) -> Ask:
    """Ends a session with the token of another, or of itself."""

    def ask(token: str, session_id: object) -> Any:
        return client.delete(f"/api/v1/sessions/{session_id}", headers=as_bearer(token))

    return ask


def in_rfc_3339(moment: Any) -> str:
    return str(moment.isoformat()).replace("+00:00", "Z")


def test_a_session_shows_where_and_when_it_was_used(person: Any, show: Ask, clock: Any, own_claims: Any) -> None:
    person.register()
    opened_at = clock()
    headers = {"User-Agent": "Firefox on a phone"}
    tokens = person.post("login", {"email": person.email, "password": person.password}, headers=headers).get_json()
    response = show(tokens["access_token"])
    assert response.status_code == 200
    body = response.get_json()
    assert body["next_cursor"] is None
    [item] = body["items"]
    assert item == {
        "id": str(own_claims(tokens["access_token"]).sid),
        "created_at": in_rfc_3339(opened_at),
        "last_used_at": in_rfc_3339(opened_at),
        "expires_at": item["expires_at"],
        "device_label": "Firefox on a phone",
        "ip": "127.0.0.1",
        "current": True,
    }
    clock.advance(DAY)
    tokens = person.refresh(tokens["refresh_token"], headers={"User-Agent": "Firefox\x09new"}).get_json()
    [item] = show(tokens["access_token"]).get_json()["items"]
    assert (item["created_at"], item["last_used_at"]) == (in_rfc_3339(opened_at), in_rfc_3339(clock()))
    assert item["device_label"] == "Firefox new"
    assert item["expires_at"] > in_rfc_3339(clock())


def test_the_list_holds_own_live_sessions_last_used_first(
    person: Any, make_person: Callable[..., Any], app: Flask, *, show: Ask, revoke: Ask, clock: Any, own_claims: Any
) -> None:
    make_person(person.client).tokens()
    person.register()
    expired = person.log_in().get_json()
    clock.advance(7 * DAY)
    opened = []
    for _ in range(4):
        clock.advance(1)
        opened.append(person.log_in().get_json())
    first, second, third, fourth = (str(own_claims(tokens["access_token"]).sid) for tokens in opened)
    assert person.refresh(expired["refresh_token"]).status_code == 401
    clock.advance(1)
    assert person.refresh(opened[1]["refresh_token"]).status_code == 200
    assert revoke(opened[0]["access_token"], third).status_code == 204
    items = show(opened[0]["access_token"]).get_json()["items"]
    assert [item["id"] for item in items] == [second, fourth, first]
    assert [item["current"] for item in items] == [False, False, True]


def test_a_session_of_the_release_before_is_not_shown(person: Any, app: Flask, show: Ask) -> None:
    token = person.tokens()["access_token"]
    with app.extensions["database"].write() as session:
        session.execute(update(Session).values(salt=None))
        session.commit()
    assert show(token).get_json() == {"items": [], "next_cursor": None}


def test_a_session_of_an_earlier_epoch_is_not_shown(person: Any, owner: Database, show: Ask) -> None:
    token = person.tokens()["access_token"]
    with owner.write() as session:
        session.execute(update(User).values(session_epoch=User.session_epoch + 1))
        session.commit()
    assert show(token).get_json() == {"items": [], "next_cursor": None}


def test_pages_hold_every_session_once_also_those_used_at_one_moment(person: Any, show: Ask, clock: Any) -> None:
    token = person.tokens()["access_token"]
    for number in range(6):
        clock.advance(number % 2)
        person.log_in()
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        body = show(token, limit=2, **({"cursor": cursor} if cursor else {})).get_json()
        seen += [(item["last_used_at"], item["id"]) for item in body["items"]]
        cursor, pages = body["next_cursor"], pages + 1
    assert pages == 4
    assert len(set(seen)) == 7
    assert seen == sorted(seen, reverse=True)


@only_sqlite
@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 101}, {"limit": "x"}, {"cursor": "x"}, {"cursor": "A" * 22}, {"user": "x"}]
)
def test_a_query_of_another_shape_is_refused(
    person: Any, show: Ask, assert_problem: Callable[..., Any], query: dict[str, object]
) -> None:
    body = assert_problem(show(person.tokens()["access_token"], **query), 422, "validation-failed")
    assert [error["field"] for error in body["errors"]] == list(query)


def test_ending_another_session_ends_its_tokens_and_twice_is_as_good_as_once(
    person: Any,
    revoke: Ask,
    own_claims: Any,
    *,
    bulletin: Any,
    audit_trail: Callable[..., Any],
    sessions_of: Callable[[], list[Session]],
) -> None:
    lost, current = person.tokens(), person.log_in().get_json()
    session_id = own_claims(lost["access_token"]).sid
    for _ in range(2):
        response = revoke(current["access_token"], session_id)
        assert (response.status_code, response.data) == (204, b"")
    assert [session.revoke_reason for session in sessions_of()] == ["revoked", None]
    assert (bulletin.session_ids, bulletin.were_ended) == ([session_id], [True])
    requested, ended = audit_trail("session_end_requested", "session_logout")
    assert (ended.event, ended.reason, ended.session_id, ended.actor_type) == (
        "session_logout",
        "revoked",
        session_id,
        "user",
    )
    caller = own_claims(current["access_token"])
    assert (requested.session_id, requested.reason) == (caller.sid, "revoked")
    assert [(event.jti, event.client_id) for event in (requested, ended)] == [(caller.jti, "redprint")] * 2
    assert person.me(lost["access_token"]).status_code == 401
    assert person.refresh(lost["refresh_token"]).status_code == 401
    assert person.refresh(current["refresh_token"]).status_code == 200


def test_the_current_session_can_be_ended_too(person: Any, revoke: Ask, own_claims: Any) -> None:
    tokens = person.tokens()
    assert revoke(tokens["access_token"], own_claims(tokens["access_token"]).sid).status_code == 204
    assert person.me(tokens["access_token"]).status_code == 401


def test_one_that_ran_out_can_be_ended_still(person: Any, revoke: Ask, own_claims: Any, clock: Any) -> None:
    session_id = own_claims(person.tokens()["access_token"]).sid
    clock.advance(31 * DAY)
    assert revoke(person.log_in().get_json()["access_token"], session_id).status_code == 204


def test_somebody_elses_session_is_as_unknown_as_none(
    person: Any,
    make_person: Callable[..., Any],
    revoke: Ask,
    *,
    own_claims: Any,
    assert_problem: Callable[..., Any],
    sessions_of: Callable[[], list[Session]],
    audit_trail: Callable[..., Any],
) -> None:
    victim, token = make_person(person.client).tokens(), person.tokens()["access_token"]
    foreign = own_claims(victim["access_token"]).sid
    answers = [assert_problem(revoke(token, each), 404, "session-not-found") for each in (foreign, new_id())]
    assert answers[0]["detail"] == answers[1]["detail"]
    assert_problem(revoke(token, "x"), 404, "not-found")
    assert {session.revoked_at for session in sessions_of()} == {None}
    assert audit_trail("session_logout") == []
    assert person.refresh(victim["refresh_token"]).status_code == 200


def test_while_revocations_are_unknown_the_list_is_shown_and_none_is_ended(
    person: Any,
    show: Ask,
    revoke: Ask,
    *,
    revocations: Any,
    own_claims: Any,
    assert_problem: Callable[..., Any],
    sessions_of: Callable[[], list[Session]],
) -> None:
    token = person.tokens()["access_token"]
    revocations.fresh = False
    assert show(token).status_code == 200
    response = revoke(token, own_claims(token).sid)
    assert_problem(response, 503, "unavailable")
    assert "Retry-After" in response.headers
    assert sessions_of()[0].revoked_at is None


def test_a_session_is_ended_once_however_many_ask(
    person: Any, app: Flask, as_bearer: Callable[..., Any], *, own_claims: Any, audit_trail: Callable[..., Any]
) -> None:
    lost, token = person.tokens()["access_token"], person.log_in().get_json()["access_token"]
    path = f"/api/v1/sessions/{own_claims(lost).sid}"

    def revoke(_: int) -> int:
        return int(app.test_client().delete(path, headers=as_bearer(token)).status_code)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(revoke, range(8))) == {204}
    assert len(audit_trail("session_logout")) == 1


@only_sqlite
def test_a_services_own_token_has_no_sessions(
    app: Flask, show: Ask, revoke: Ask, assert_problem: Callable[..., Any]
) -> None:
    issuer = app.extensions["auth_dependencies"].token_issuer
    token = issuer.issue("billing", audience="auth", scopes=(), client_id="billing")
    assert_problem(show(token), 403, "user-required")
    assert_problem(revoke(token, new_id()), 403, "user-required")


@only_sqlite
def test_a_users_token_without_a_session_sees_all_and_is_none_of_them(
    person: Any, app: Flask, show: Ask, own_claims: Any
) -> None:
    user_id = own_claims(person.tokens()["access_token"]).user_id
    issuer = app.extensions["auth_dependencies"].token_issuer
    token = issuer.issue(user_id, audience="auth", scopes=(), client_id="redprint")
    assert [item["current"] for item in show(token).get_json()["items"]] == [False]


@only_mysql
def test_the_list_is_one_statement(person: Any, app: Flask, owner: Database, show: Ask) -> None:
    token = person.tokens()["access_token"]
    with statements(app.extensions["database"], owner.url) as counted:
        assert show(token).status_code == 200
    assert dict(counted.kinds) == {"select": 1}
