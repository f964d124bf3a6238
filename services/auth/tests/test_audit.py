"""The audit trail: what a row holds, that it shares the fate of its transaction, and that nobody rewrites it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from auth_service.audit import AuditTrail, Event
from auth_service.client import Client
from auth_service.models import AuditEvent
from common.db import Database, WriteSession
from common.ids import new_id
from flask import Flask
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

USER, SESSION = new_id(), new_id()


@pytest.fixture
def database(make_database: Callable[..., Database]) -> Database:
    return make_database("auth_service")


@pytest.fixture
def trail(clock: Any) -> AuditTrail:
    return AuditTrail("auth", "v" * 200, clock)


@pytest.fixture
def capture_audit() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Reads the lines logged so far."""
    with capture_logs() as lines:
        yield lambda: [dict(line) for line in lines]


def rows(database: Database) -> list[AuditEvent]:
    with database.read() as session:
        return list(session.scalars(select(AuditEvent).order_by(AuditEvent.id)))


def test_events_of_a_committed_transaction_are_rows_and_lines(
    database: Database, trail: AuditTrail, clock: Any, capture_audit: Callable[[], list[dict[str, Any]]]
) -> None:
    client = Client(ip="192.0.2.7", user_agent_digest="d" * 32, trace_id="t" * 32)
    events = [Event("first", USER, SESSION, client_id="redprint", jti="j", reason="r"), Event("second", USER)]
    with database.write() as session:
        trail.record(session, client, *events)
        assert capture_audit() == []
        session.commit()
    first, second = rows(database)
    assert (first.event, first.outcome, first.reason, first.at) == ("first", "success", "r", clock())
    assert (first.actor_type, first.actor_id, first.subject_id) == ("user", str(USER), USER)
    assert (first.session_id, first.client_id, first.jti, first.kid) == (SESSION, "redprint", "j", None)
    assert (first.ip, first.user_agent_digest, first.trace_id) == ("192.0.2.7", "d" * 32, "t" * 32)
    assert (first.service, first.version) == ("auth", "v" * 64)
    assert (second.event, second.session_id) == ("second", None)
    lines = capture_audit()
    assert [(line["event"], line["log_level"]) for line in lines] == [("first", "info"), ("second", "info")]
    assert lines[0]["id"] == str(first.id)
    assert lines[0]["session_id"] == str(SESSION)
    assert "session_id" not in lines[1]


def test_what_is_rolled_back_is_neither(
    database: Database, trail: AuditTrail, capture_audit: Callable[[], list[dict[str, Any]]]
) -> None:
    with database.write() as session:
        trail.record(session, Client(), Event("never", USER))
    with database.write() as session:
        trail.record(session, Client(), Event("never", USER))
        session.rollback()
        session.commit()
    assert (rows(database), capture_audit()) == ([], [])


def test_a_savepoint_is_no_commit(
    database: Database, trail: AuditTrail, capture_audit: Callable[[], list[dict[str, Any]]]
) -> None:
    with database.write() as session:
        with session.begin_nested():
            trail.record(session, Client(), Event("once", USER))
        assert capture_audit() == []
        session.commit()
    assert [line["event"] for line in capture_audit()] == ["once"]


def test_an_event_by_nobody_known_names_no_actor(database: Database, trail: AuditTrail) -> None:
    with database.write() as session:
        trail.record(session, Client(), Event("odd", USER, by_unknown=True))
        session.commit()
    [row] = rows(database)
    assert (row.actor_type, row.actor_id, row.subject_id) == ("unknown", None, USER)


def test_a_life_of_an_account_leaves_its_trail(
    person: Any, clock: Any, audit_trail: Callable[..., Any], sessions_of: Callable[[], Any]
) -> None:
    headers = {"User-Agent": "one", "traceparent": f"00-{'a' * 32}-{'b' * 16}-00"}
    body = {"email": person.email, "password": person.password}
    person.post("register", body, headers=headers)
    person.post("register", body, headers=headers)
    person.post("login", body | {"password": "wrong horse battery staple"}, headers=headers)
    tokens = person.post("login", body, headers=headers).get_json()
    person.post("logout", {"refresh_token": tokens["refresh_token"]}, headers=headers)
    events = audit_trail()
    assert [event.event for event in events] == [
        "user_created",
        "authn_login_success",
        "session_created",
        "session_logout",
    ]
    [session] = sessions_of()
    assert {event.subject_id for event in events} == {session.user_id}
    assert [event.session_id for event in events] == [None, session.id, session.id, session.id]
    assert {(event.ip, event.trace_id, event.at) for event in events} == {("127.0.0.1", "a" * 32, clock())}
    assert {event.user_agent_digest for event in events} == {sha256(b"one").hexdigest()[:32]}


def test_no_address_token_or_user_agent_is_in_it(
    make_app: Callable[..., Flask], make_person: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    app = make_app(LOG_LEVEL="info", LOG_FORMAT="json")
    person = make_person(app.test_client())
    person.register()
    headers = {"User-Agent": "Very-Special-Agent"}
    tokens = person.post("login", {"email": person.email, "password": person.password}, headers=headers).get_json()
    old = tokens["refresh_token"]
    for _ in range(2):
        tokens = person.refresh(tokens["refresh_token"], headers=headers).get_json()
    person.refresh(old, headers=headers)
    output = capfd.readouterr().out
    with app.extensions["database"].read() as session:
        stored = str(session.execute(select(*AuditEvent.__table__.columns)).all())
    names = [json.loads(line)["event"] for line in output.splitlines()]
    assert {"user_created", "authn_login_success", "session_created", "authn_token_reuse"} <= set(names)
    for secret in (person.email, "Very-Special-Agent", old, tokens["refresh_token"], tokens["access_token"]):
        assert secret not in stored
        assert secret not in output


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
@pytest.mark.parametrize("statement", [update(AuditEvent).values(event="nothing"), delete(AuditEvent)], ids=str)
def test_the_service_can_neither_change_nor_delete_what_it_wrote(person: Any, app: Flask, statement: Any) -> None:
    person.register()
    with app.extensions["database"].write() as session, pytest.raises(DBAPIError, match="denied"):
        session.execute(statement)


def test_without_its_record_a_login_is_none(
    person: Any, app: Flask, monkeypatch: pytest.MonkeyPatch, sessions_of: Callable[[], Any]
) -> None:
    person.register()

    class Broken(AuditTrail):
        def record(self, session: WriteSession, client: Client, *events: Event) -> None:
            raise RuntimeError

    deps = app.extensions["auth_dependencies"]
    broken = replace(deps, audit=Broken("auth", "", deps.clock))
    monkeypatch.setitem(app.extensions, "auth_dependencies", broken)
    assert person.log_in().status_code == 500
    assert sessions_of() == []


def test_events_sort_by_when_they_happened(database: Database, trail: AuditTrail, clock: Any) -> None:
    with database.write() as session:
        for number in range(3):
            clock.now += timedelta(seconds=1)
            trail.record(session, Client(), Event(str(number), USER))
        session.commit()
    assert [row.event for row in rows(database)] == ["0", "1", "2"]
