"""Refreshing: each token has one successor, within its times, for an active user of a session that goes on."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from secrets import token_urlsafe
from typing import Any

import pytest
from auth_service.metrics import refresh_retries, refresh_reuses
from auth_service.models import Session, User
from auth_service.refresh_tokens import MAX_GENERATION, RefreshToken, derive_refresh_token
from common.db import Database
from common.ids import new_id
from common.testing.statements import statements
from flask import Flask
from sqlalchemy import delete, select, text, update

# For what is refused before the database is asked.
only_sqlite = pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)
only_mysql = pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)

DAY = 24 * 3600
GRACE = 30


def change(app: Flask, model: Any, **values: object) -> None:
    with app.extensions["database"].write() as session:
        session.execute(update(model).values(**values))
        session.commit()


def counts() -> tuple[float, float, float]:
    """Retries of the same origin, of another one, and reuses so far."""
    retries = [refresh_retries.labels(origin)._value.get() for origin in ("same", "other")]
    return retries[0], retries[1], refresh_reuses._value.get()


def growth(before: tuple[float, float, float]) -> tuple[float, ...]:
    return tuple(now - then for now, then in zip(counts(), before, strict=True))


def flip_end(text: str) -> str:
    """The text with other characters at its end."""
    return text[:-6] + ("AAAAAA" if text[-6:] != "AAAAAA" else "EEEEEE")


def test_a_refresh_gives_new_tokens_for_the_same_session(
    person: Any, clock: Any, sessions_of: Callable[[], list[Session]], audit_trail: Callable[..., Any]
) -> None:
    first = person.tokens()
    clock.advance(60)
    recorded = audit_trail()
    response = person.refresh(first["refresh_token"])
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    second = response.get_json()
    assert second.keys() == first.keys()
    assert second["refresh_token"] != first["refresh_token"]
    assert person.me(second["access_token"]).status_code == 200
    [row] = sessions_of()
    assert (row.generation, row.rotated_at, row.last_used_at) == (1, clock(), clock())
    assert len(audit_trail()) == len(recorded)


def test_a_chain_of_refreshes_leads_on(person: Any, clock: Any, sessions_of: Callable[[], list[Session]]) -> None:
    token = person.tokens()["refresh_token"]
    for generation in range(1, 6):
        clock.advance(3600)
        token = person.refresh(token).get_json()["refresh_token"]
        assert token.split(".")[3] == str(generation)
    assert [row.generation for row in sessions_of()] == [5]


def test_the_last_generation_has_no_successor_and_is_no_theft(
    person: Any, app: Flask, sessions_of: Callable[[], list[Session]], assert_problem: Callable[..., Any]
) -> None:
    person.tokens()
    change(app, Session, generation=MAX_GENERATION - 1)
    with app.extensions["database"].read() as session:
        row = session.execute(select(Session.id, Session.salt)).one()
    key = app.extensions["auth_dependencies"].refresh_keys.refresh_key()
    last = person.refresh(derive_refresh_token(key, row.id, MAX_GENERATION - 1, row.salt)).get_json()["refresh_token"]
    assert_problem(person.refresh(last), 401, "invalid-grant")
    assert [(row.generation, row.revoked_at) for row in sessions_of()] == [(MAX_GENERATION, None)]


@pytest.mark.parametrize("seconds", [0, GRACE - 1], ids=["at once", "late"])
def test_a67_a_token_presented_again_within_the_grace_window_has_the_same_successor(
    person: Any, clock: Any, audit_trail: Callable[..., Any], sessions_of: Callable[[], list[Session]], seconds: int
) -> None:
    before = counts()
    first = person.tokens()["refresh_token"]
    successor = person.refresh(first).get_json()
    [state] = sessions_of()
    clock.advance(seconds)
    for _ in range(2):
        response = person.refresh(first)
        assert response.status_code == 200
        again = response.get_json()
        assert again["refresh_token"] == successor["refresh_token"]
        assert again["refresh_expires_in"] == 7 * DAY - seconds
        assert person.me(again["access_token"]).status_code == 200
    [after] = sessions_of()
    assert (after.generation, after.rotated_at, after.revoked_at) == (1, state.rotated_at, None)
    assert [event.reason for event in audit_trail("refresh_retry")] == ["same_origin"] * 2
    assert growth(before) == (2, 0, 0)
    assert person.refresh(successor["refresh_token"]).status_code == 200


def test_a67_the_answer_to_a_retry_is_for_the_audience_it_asks_for(person: Any) -> None:
    first = person.tokens()["refresh_token"]
    person.refresh(first)
    assert person.refresh(first, resource="auth").get_json()["scope"] == ""


@pytest.mark.parametrize(
    "headers",
    [{"User-Agent": "another"}, {"X-Forwarded-For": "198.51.100.7"}],
    ids=["program", "network"],
)
def test_a67_a_retry_from_elsewhere_is_answered_and_raises_an_alarm(
    make_app: Callable[..., Flask],
    make_person: Callable[..., Any],
    capfd: pytest.CaptureFixture[str],
    headers: dict[str, str],
) -> None:
    person = make_person(make_app(TRUSTED_PROXIES="1", LOG_LEVEL="warning").test_client())
    origin = {"User-Agent": "one", "X-Forwarded-For": "192.0.2.7"}
    before = counts()
    first = person.tokens()["refresh_token"]
    successor = person.refresh(first, headers=origin).get_json()["refresh_token"]
    capfd.readouterr()
    neighbour = origin | {"X-Forwarded-For": "192.0.2.200"}
    assert person.refresh(first, headers=neighbour).get_json()["refresh_token"] == successor
    assert growth(before) == (1, 0, 0)
    assert capfd.readouterr().out == ""
    assert person.refresh(first, headers=origin | headers).get_json()["refresh_token"] == successor
    assert growth(before) == (1, 1, 0)
    line = json.loads(capfd.readouterr().out)
    assert (line["event"], line["level"], line["reason"]) == ("refresh_retry", "warning", "other_origin")
    assert person.refresh(successor, headers=origin).status_code == 200


def test_without_a_grace_window_a_retry_is_a_reuse(
    make_app: Callable[..., Flask], make_person: Callable[..., Any]
) -> None:
    person = make_person(make_app(REFRESH_GRACE_SECONDS="0").test_client())
    first = person.tokens()["refresh_token"]
    assert person.refresh(first).status_code == 200
    assert person.refresh(first).status_code == 401


@pytest.mark.parametrize("case", ["after the window", "two generations back", "three generations back"])
def test_a68_an_old_token_ends_the_session_and_raises_an_alarm_once(
    person: Any,
    clock: Any,
    case: str,
    *,
    bulletin: Any,
    assert_problem: Callable[..., Any],
    audit_trail: Callable[..., Any],
    sessions_of: Callable[[], list[Session]],
) -> None:
    before = counts()
    old = person.tokens()["refresh_token"]
    current = person.refresh(old).get_json()["refresh_token"]
    for _ in range({"after the window": 0, "two generations back": 1, "three generations back": 2}[case]):
        current = person.refresh(current).get_json()["refresh_token"]
    if case == "after the window":
        clock.advance(GRACE)
    other = person.log_in().get_json()["refresh_token"]
    for _ in range(2):
        assert_problem(person.refresh(old), 401, "invalid-grant")
    assert_problem(person.refresh(current), 401, "invalid-grant")
    first, second = sessions_of()
    assert (first.revoked_at, first.revoke_reason, second.revoked_at) == (clock(), "reuse", None)
    events = audit_trail("authn_token_reuse", "session_logout")
    assert [(event.event, event.outcome, event.reason) for event in events] == [
        ("authn_token_reuse", "failure", None),
        ("session_logout", "success", "reuse"),
    ]
    assert {(event.session_id, event.subject_id, event.actor_type, event.actor_id) for event in events} == {
        (first.id, first.user_id, "unknown", None)
    }
    assert (bulletin.session_ids, bulletin.were_ended) == ([first.id], [True])
    assert growth(before) == (0, 0, 1)
    assert person.refresh(other).status_code == 200


def test_a68_whoever_comes_second_with_the_next_token_ends_the_session(person: Any, clock: Any) -> None:
    """The thief hits the grace window, and is found out all the same: both hold the same successor."""
    stolen = person.tokens()["refresh_token"]
    owners = person.refresh(stolen).get_json()["refresh_token"]
    thiefs = person.refresh(stolen).get_json()["refresh_token"]
    clock.advance(600)
    next_token = person.refresh(owners).get_json()["refresh_token"]
    clock.advance(600)
    assert person.refresh(thiefs).status_code == 401
    assert person.refresh(next_token).status_code == 401


def test_of_eight_refreshes_at_once_all_get_the_one_successor(
    app: Flask, person: Any, make_person: Callable[..., Any], audit_trail: Callable[..., Any]
) -> None:
    token = person.tokens()["refresh_token"]
    for _ in range(3):

        def refresh(_: int, token: str = token) -> Any:
            return make_person(app.test_client()).refresh(token)

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(refresh, range(8)))
        assert {answer.status_code for answer in answers} == {200}
        [token] = {answer.get_json()["refresh_token"] for answer in answers}
    assert len(audit_trail("refresh_retry")) == 3 * 7
    assert audit_trail("authn_token_reuse") == []


def test_a_commit_whose_answer_is_lost_costs_a_retry_and_no_session(
    person: Any, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client hears nothing of its new token, and gets it with the next try."""
    from auth_service.use_cases import refresh as module

    first = person.tokens()["refresh_token"]
    original = module.run_write

    def lose_answer(*arguments: Any) -> Any:
        original(*arguments)
        raise RuntimeError("the process ends here")

    monkeypatch.setattr(module, "run_write", lose_answer)
    assert person.refresh(first).status_code == 500
    monkeypatch.undo()
    second = person.refresh(first).get_json()["refresh_token"]
    assert person.refresh(second).status_code == 200


def test_what_fails_before_the_commit_changes_nothing(
    person: Any, app: Flask, monkeypatch: pytest.MonkeyPatch, sessions_of: Callable[[], list[Session]]
) -> None:
    from auth_service.use_cases import refresh as module

    first = person.tokens()["refresh_token"]

    def fail(*_: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr(module, "issue_tokens", fail)
    assert person.refresh(first).status_code == 500
    monkeypatch.undo()
    assert [row.generation for row in sessions_of()] == [0]
    assert person.refresh(first).status_code == 200


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


def test_an_old_token_of_a_session_that_ran_out_is_no_alarm(
    person: Any, clock: Any, audit_trail: Callable[..., Any]
) -> None:
    token = person.tokens()["refresh_token"]
    person.refresh(token)
    clock.advance(8 * DAY)
    assert person.refresh(token).status_code == 401
    assert audit_trail("authn_token_reuse", "session_logout") == []


def test_a_token_ahead_of_the_database_is_refused_without_an_alarm(
    person: Any, app: Flask, audit_trail: Callable[..., Any], sessions_of: Callable[[], list[Session]]
) -> None:
    """After a restore the database is some refreshes behind its clients."""
    token = person.tokens()["refresh_token"]
    token = person.refresh(token).get_json()["refresh_token"]
    change(app, Session, generation=0)
    assert person.refresh(token).status_code == 401
    assert audit_trail("authn_token_reuse") == []
    assert sessions_of()[0].revoked_at is None


def test_a71_a_disabled_or_deleted_user_gets_no_new_tokens(
    person: Any, app: Flask, owner: Database, assert_problem: Callable[..., Any]
) -> None:
    token = person.tokens()["refresh_token"]
    change(app, User, status="disabled")
    assert_problem(person.refresh(token), 401, "invalid-grant")
    change(app, User, status="active")
    token = person.refresh(token).get_json()["refresh_token"]
    with owner.write() as session:
        session.execute(delete(User))
        session.commit()
    assert_problem(person.refresh(token), 401, "invalid-grant")


def test_a71_a_session_of_an_earlier_epoch_is_over_whatever_its_row_says(
    person: Any, app: Flask, assert_problem: Callable[..., Any], audit_trail: Callable[..., Any]
) -> None:
    token = person.tokens()["refresh_token"]
    used = person.refresh(token)
    change(app, User, session_epoch=1)
    assert_problem(person.refresh(used.get_json()["refresh_token"]), 401, "invalid-grant")
    assert_problem(person.refresh(token), 401, "invalid-grant")
    assert audit_trail("authn_token_reuse", "refresh_retry") == []
    assert person.refresh(person.log_in().get_json()["refresh_token"]).status_code == 200


def test_a69_a_token_of_another_client_is_refused_and_its_session_goes_on(
    person: Any, app: Flask, assert_problem: Callable[..., Any], sessions_of: Callable[[], list[Session]]
) -> None:
    token = person.tokens()["refresh_token"]
    change(app, Session, client_id="another")
    assert_problem(person.refresh(token), 401, "invalid-grant")
    assert_problem(person.post("logout", {"refresh_token": token}), 401, "invalid-grant")
    change(app, Session, client_id="redprint")
    assert person.refresh(token).status_code == 200


def test_a70_a_forged_mac_for_a_real_session_is_refused_and_ends_nothing(
    person: Any,
    app: Flask,
    *,
    bulletin: Any,
    assert_problem: Callable[..., Any],
    audit_trail: Callable[..., Any],
    sessions_of: Callable[[], list[Session]],
) -> None:
    genuine = person.tokens()["refresh_token"]
    current = genuine
    for _ in range(3):
        current = person.refresh(current).get_json()["refresh_token"]
    prefix, _, session_id, _, mac = current.split(".")
    key = app.extensions["auth_dependencies"].refresh_keys.refresh_key()
    guesses = [
        flip_end(current),
        flip_end(genuine),
        *(f"{prefix}.1.{session_id}.{number}.{mac}" for number in ("0", "1", "2", "4", "4294967295")),
        derive_refresh_token(replace(key, secret=b"g" * 32), RefreshToken.parse(current).session_id, 0, b"g" * 16),
        derive_refresh_token(key, RefreshToken.parse(current).session_id, 0, b"g" * 16),
    ]
    recorded = len(audit_trail())
    for guess in guesses:
        assert_problem(person.refresh(guess), 401, "invalid-grant")
        assert_problem(person.post("logout", {"refresh_token": guess}), 401, "invalid-grant")
    [row] = sessions_of()
    assert (row.revoked_at, row.generation, bulletin.session_ids, len(audit_trail())) == (None, 3, [], recorded)
    assert person.refresh(current).status_code == 200


def test_a64_an_access_token_is_no_refresh_token_nor_the_reverse(
    person: Any, assert_problem: Callable[..., Any], as_bearer: Callable[..., Any]
) -> None:
    tokens = person.tokens()
    assert_problem(person.refresh(tokens["access_token"]), 401, "invalid-grant")
    assert_problem(person.post("logout", {"refresh_token": tokens["access_token"]}), 401, "invalid-grant")
    for path in ("/api/v1/users/me", "/api/v1/sessions"):
        response = person.client.get(path, headers=as_bearer(tokens["refresh_token"]))
        assert_problem(response, 401, "invalid-token")
    assert person.refresh(tokens["refresh_token"]).status_code == 200


def test_a66_a_random_opaque_token_is_neither_a_bearer_nor_a_refresh_token(
    person: Any, assert_problem: Callable[..., Any], as_bearer: Callable[..., Any]
) -> None:
    """The form that tokens of resets and verifications will have, once there are mails to carry them."""
    token = token_urlsafe(32)
    assert_problem(person.refresh(token), 401, "invalid-grant")
    response = person.client.get("/api/v1/users/me", headers=as_bearer(token))
    assert_problem(response, 401, "invalid-token")


@only_mysql
def test_a_connection_lost_between_the_locks_and_the_change_costs_the_client_nothing(
    person: Any, app: Flask, clock: Any, monkeypatch: pytest.MonkeyPatch, sessions_of: Callable[[], list[Session]]
) -> None:
    token = person.tokens()["refresh_token"]
    killed: list[int] = []

    def kill_all_once() -> datetime:
        if not killed:
            database = app.extensions["database"]
            others = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
            with database.engine.connect() as connection:
                killed.extend(connection.scalars(text(others)))
                for number in killed:
                    connection.exec_driver_sql(f"KILL {number}")
        return clock.now

    deps = replace(app.extensions["auth_dependencies"], clock=kill_all_once)
    monkeypatch.setitem(app.extensions, "auth_dependencies", deps)
    assert person.refresh(token).status_code == 200
    assert killed
    assert [row.generation for row in sessions_of()] == [1]


def test_what_is_no_refresh_token_is_refused(person: Any, app: Flask, assert_problem: Callable[..., Any]) -> None:
    genuine = person.tokens()["refresh_token"]
    key = app.extensions["auth_dependencies"].refresh_keys.refresh_key()
    strange = derive_refresh_token(key, new_id(), 0, b"s" * 16)
    old_form = "rt0." + "A" * 64
    for other in ("x", "rt1.", genuine[:-1], genuine + "A", genuine.replace("rt1", "rt0"), strange, old_form, "é"):
        assert_problem(person.refresh(other), 401, "invalid-grant")


def test_a_session_of_the_release_before_is_refused(
    person: Any, app: Flask, assert_problem: Callable[..., Any], sessions_of: Callable[[], list[Session]]
) -> None:
    token = person.tokens()["refresh_token"]
    change(app, Session, salt=None, refresh_token_hash=b"h" * 32)
    assert_problem(person.refresh(token), 401, "invalid-grant")
    assert sessions_of()[0].revoked_at is None


def test_a_token_of_a_key_that_was_taken_away_is_refused(
    person: Any, app: Flask, monkeypatch: pytest.MonkeyPatch, assert_problem: Callable[..., Any]
) -> None:
    token = person.tokens()["refresh_token"]
    keys = app.extensions["auth_dependencies"].refresh_keys
    monkeypatch.setattr(keys, "find_refresh_key", lambda _version: None)
    assert_problem(person.refresh(token), 401, "invalid-grant")
    monkeypatch.undo()
    assert person.refresh(token).status_code == 200


def test_after_a_new_key_tokens_of_the_old_one_go_on_and_their_successors_are_of_the_new_one(
    person: Any, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = person.tokens()["refresh_token"]
    keys = app.extensions["auth_dependencies"].refresh_keys
    old, new = keys.refresh_key(), replace(keys.refresh_key(), version=2, secret=b"n" * 32)
    monkeypatch.setattr(keys, "refresh_key", lambda: new)
    monkeypatch.setattr(keys, "find_refresh_key", {1: old, 2: new}.get)
    body = person.refresh(token).get_json()
    assert body["refresh_token"].startswith("rt1.2.")
    assert person.refresh(token).get_json()["refresh_token"] == body["refresh_token"]
    assert person.refresh(body["refresh_token"]).status_code == 200


@only_sqlite
def test_the_longest_access_token_is_no_refresh_token_and_nothing_worse(
    person: Any, assert_problem: Callable[..., Any]
) -> None:
    """One signed with RSA-3072 is longer than any refresh token."""
    assert_problem(person.refresh("x" * 4096), 401, "invalid-grant")
    assert_problem(person.post("logout", {"refresh_token": "x" * 4096}), 401, "invalid-grant")


@pytest.mark.parametrize("body", [{}, {"refresh_token": ""}, {"refresh_token": None}, {"refresh_token": "x" * 4097}])
def test_a_body_without_a_token_is_refused(
    person: Any, assert_problem: Callable[..., Any], body: dict[str, object]
) -> None:
    assert_problem(person.post("refresh", body), 422, "validation-failed")


@pytest.mark.parametrize("more", [{"scope": "admin:all"}, {"scope": ""}, {"audience": "auth"}, {"client_id": "x"}])
def test_a73_asking_for_more_is_refused_and_uses_nothing_up(
    person: Any, assert_problem: Callable[..., Any], sessions_of: Callable[[], list[Session]], more: dict[str, str]
) -> None:
    token = person.tokens()["refresh_token"]
    body = assert_problem(person.refresh(token, **more), 422, "validation-failed")
    assert [error["field"] for error in body["errors"]] == list(more)
    assert sessions_of()[0].generation == 0
    assert person.refresh(token).status_code == 200


def test_a73_another_resource_gives_its_own_scopes_and_none_besides(person: Any) -> None:
    person.register()
    body = person.log_in(resource="auth").get_json()
    body = person.refresh(body["refresh_token"]).get_json()
    assert body["scope"] == ""
    body = person.refresh(body["refresh_token"], resource="api").get_json()
    assert body["scope"] == "contacts:read contacts:write jobs:read jobs:write"
    assert person.refresh(body["refresh_token"]).get_json()["scope"] == ""
    body = person.log_in().get_json()
    assert person.refresh(body["refresh_token"], resource="auth").get_json()["scope"] == ""


@only_mysql
def test_a_refresh_costs_six_statements_and_a_forged_one_a_read(person: Any, app: Flask, owner: Database) -> None:
    token = person.tokens()["refresh_token"]

    def kinds(text: str, status: int) -> dict[str, int]:
        with statements(app.extensions["database"], owner.url) as counted:
            assert person.refresh(text).status_code == status
        return dict(counted.kinds)

    # The salt; then, within the transaction, the locked user and the locked session.
    assert kinds(token, 200) == {"select": 3, "begin": 1, "update": 1, "commit": 1}
    assert kinds(token, 200) == {"select": 3, "begin": 1, "insert": 1, "commit": 1}
    assert kinds(flip_end(token), 401) == {"select": 1}
    assert kinds("x", 401) == {}
