"""Logging out everywhere: every session of one user, at one moment, and nobody else's."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Event
from typing import Any

import pytest
from auth_service.models import Session, User
from auth_service.use_cases import everywhere
from auth_service.use_cases import refresh as refresh_module
from auth_service.use_cases import tokens as tokens_module
from common.db import Database
from common.ids import new_id
from common.testing.statements import statements
from flask import Flask
from sqlalchemy import delete, select, update

DAY = 24 * 3600
only_mysql = pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)


@pytest.fixture
def log_out_everywhere(as_bearer: Callable[..., Any]) -> Callable[..., Any]:
    def log_out(person: Any, token: str) -> Any:
        return person.client.post("/api/v1/auth/logout-all", headers=as_bearer(token))

    return log_out


def test_a71_every_session_of_the_user_ends_and_no_other(
    person: Any,
    make_person: Callable[..., Any],
    log_out_everywhere: Callable[..., Any],
    *,
    bulletin: Any,
    audit_trail: Callable[..., Any],
    sessions_of: Callable[[], list[Session]],
    own_claims: Any,
) -> None:
    own = [person.tokens(), person.log_in().get_json(), person.log_in(resource="auth").get_json()]
    somebody = make_person(person.client).tokens()
    response = log_out_everywhere(person, own[1]["access_token"])
    assert (response.status_code, response.data) == (204, b"")
    *ended, others = sessions_of()
    assert {session.revoke_reason for session in ended} == {"logout_all"}
    assert others.revoked_at is None
    assert sorted(bulletin.session_ids) == [session.id for session in ended]
    assert bulletin.were_ended == [True] * 3
    events = audit_trail("session_logout")
    assert {event.session_id for event in events} == set(bulletin.session_ids)
    assert {(event.reason, event.subject_id) for event in events} == {("logout_all", ended[0].user_id)}
    [requested], caller = audit_trail("session_end_requested"), own_claims(own[1]["access_token"])
    assert (requested.session_id, requested.reason) == (caller.sid, "logout_all")
    assert {(event.jti, event.client_id) for event in [requested, *events]} == {(caller.jti, "redprint")}
    for tokens in own:
        assert person.refresh(tokens["refresh_token"]).status_code == 401
        assert person.me(tokens["access_token"]).status_code == 401
    assert person.refresh(somebody["refresh_token"]).status_code == 200
    assert person.me(somebody["access_token"]).status_code == 200


def test_a_login_afterwards_opens_a_session_of_the_next_epoch(
    person: Any, log_out_everywhere: Callable[..., Any], sessions_of: Callable[[], list[Session]]
) -> None:
    log_out_everywhere(person, person.tokens()["access_token"])
    tokens = person.log_in().get_json()
    assert [session.epoch for session in sessions_of()] == [0, 1]
    assert person.refresh(tokens["refresh_token"]).status_code == 200
    assert person.me(tokens["access_token"]).status_code == 200


def test_it_does_not_have_to_know_which_sessions_were_revoked(
    person: Any, revocations: Any, log_out_everywhere: Callable[..., Any]
) -> None:
    """It is what people need in an incident, and the stream may be part of that."""
    token = person.tokens()["access_token"]
    revocations.fresh = False
    assert log_out_everywhere(person, token).status_code == 204


def test_the_token_of_an_ended_session_logs_nobody_out(
    person: Any, log_out_everywhere: Callable[..., Any], assert_problem: Callable[..., Any]
) -> None:
    token = person.tokens()["access_token"]
    assert log_out_everywhere(person, token).status_code == 204
    other = person.log_in().get_json()
    assert_problem(log_out_everywhere(person, token), 401, "invalid-token")
    assert person.refresh(other["refresh_token"]).status_code == 200


def test_it_is_recorded_where_no_session_is_left_too(
    person: Any,
    app: Flask,
    log_out_everywhere: Callable[..., Any],
    audit_trail: Callable[..., Any],
    sessions_of: Callable[[], list[Session]],
) -> None:
    """The stream may not have told yet that the caller's session has ended, and the epoch is raised all the same."""
    token = person.tokens()["access_token"]
    with app.extensions["database"].write() as session:
        session.execute(update(Session).values(revoked_at=sessions_of()[0].auth_time))
        session.commit()
    assert log_out_everywhere(person, token).status_code == 204
    assert [event.event for event in audit_trail()][-1] == "session_end_requested"


def test_sessions_that_have_ended_or_run_out_stay_as_they_are(
    person: Any, clock: Any, log_out_everywhere: Callable[..., Any], sessions_of: Callable[[], list[Session]]
) -> None:
    person.tokens()
    clock.advance(8 * DAY)
    person.post("logout", {"refresh_token": person.log_in().get_json()["refresh_token"]})
    log_out_everywhere(person, person.log_in().get_json()["access_token"])
    assert [session.revoke_reason for session in sessions_of()] == [None, "logout", "logout_all"]


def test_a_session_that_ran_out_ends_too_while_its_access_token_may_live(
    make_app: Callable[..., Flask],
    make_person: Callable[..., Any],
    clock: Any,
    log_out_everywhere: Callable[..., Any],
) -> None:
    person = make_person(make_app(REFRESH_IDLE_TTL_SECONDS="60", ACCESS_TOKEN_TTL_SECONDS="3600").test_client())
    first = person.tokens()
    clock.advance(120)
    assert person.me(first["access_token"]).status_code == 200
    assert log_out_everywhere(person, person.log_in().get_json()["access_token"]).status_code == 204
    assert person.me(first["access_token"]).status_code == 401


def test_who_is_gone_has_nothing_to_log_out_of(
    person: Any, owner: Database, log_out_everywhere: Callable[..., Any], assert_problem: Callable[..., Any]
) -> None:
    token = person.tokens()["access_token"]
    with owner.write() as session:
        session.execute(delete(User))
        session.commit()
    assert_problem(log_out_everywhere(person, token), 401, "invalid-token")


def test_more_sessions_than_fit_one_statement_all_end(
    person: Any,
    owner: Database,
    log_out_everywhere: Callable[..., Any],
    *,
    bulletin: Any,
    audit_trail: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(everywhere, "CHUNK", 10)
    token = person.tokens()["access_token"]
    with owner.write() as session:
        template = session.scalars(select(Session)).one()
        copied = {column.name: getattr(template, column.name) for column in Session.__table__.columns}
        session.add_all(Session(**copied | {"id": new_id()}) for _ in range(24))
        session.commit()
    assert log_out_everywhere(person, token).status_code == 204
    assert len(set(bulletin.session_ids)) == len(bulletin.session_ids) == 25
    assert len(audit_trail("session_logout")) == 25
    with owner.read() as session:
        assert session.scalars(select(Session.id).where(Session.revoked_at.is_(None))).all() == []


def test_several_at_once_end_each_session_once(
    person: Any,
    app: Flask,
    make_person: Callable[..., Any],
    log_out_everywhere: Callable[..., Any],
    *,
    audit_trail: Callable[..., Any],
) -> None:
    tokens = [person.tokens()["access_token"], *(person.log_in().get_json()["access_token"] for _ in range(3))]

    def log_out(token: str) -> int:
        return int(log_out_everywhere(make_person(app.test_client()), token).status_code)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(log_out, tokens)) <= {204, 401}  # 401: the other was first
    assert len(audit_trail("session_logout")) == 4


@pytest.mark.parametrize("step", ["log_in", "refresh"])
def test_what_began_before_it_is_waited_for_and_ended(
    person: Any,
    app: Flask,
    make_person: Callable[..., Any],
    log_out_everywhere: Callable[..., Any],
    step: str,
    *,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A session must not slip through between the moment it was allowed and the one it is written."""
    tokens = person.tokens()
    module = {"log_in": tokens_module, "refresh": refresh_module}[step]
    original, inside, release = module.issue_tokens, Event(), Event()

    def pause(*arguments: Any) -> Any:
        inside.set()
        assert release.wait(10)
        return original(*arguments)

    monkeypatch.setattr(module, "issue_tokens", pause)
    other = make_person(app.test_client(), email=person.email)
    with ThreadPoolExecutor(2) as pool:
        late = pool.submit(other.log_in if step == "log_in" else lambda: other.refresh(tokens["refresh_token"]))
        assert inside.wait(10)
        ending = pool.submit(log_out_everywhere, person, tokens["access_token"])
        assert wait([ending], timeout=0.3).not_done
        release.set()
    assert (late.result().status_code, ending.result().status_code) == (200, 204)
    monkeypatch.undo()
    assert other.refresh(late.result().get_json()["refresh_token"]).status_code == 401
    assert other.me(late.result().get_json()["access_token"]).status_code == 401


@only_mysql
def test_it_costs_the_same_for_one_session_as_for_many(
    person: Any, app: Flask, owner: Database, log_out_everywhere: Callable[..., Any]
) -> None:
    person.register()
    for sessions in (1, 5):
        tokens = [person.log_in().get_json()["access_token"] for _ in range(sessions)]
        with statements(app.extensions["database"], owner.url) as counted:
            assert log_out_everywhere(person, tokens[0]).status_code == 204
        assert dict(counted.kinds) == {"begin": 1, "update": 2, "select": 1, "insert": 1, "commit": 1}
