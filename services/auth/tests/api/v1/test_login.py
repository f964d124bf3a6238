"""Logging in: what is issued, and that nobody learns why a login fails."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from threading import BoundedSemaphore, Event, Semaphore
from typing import Any
from uuid import UUID

import argon2
import pytest
from auth_service.hashing import BoundedHasher
from auth_service.models import Session, User
from auth_service.refresh_tokens import derive_refresh_token
from common.db import Database
from common.jwt import SigningKey, StaticKeys, TokenVerifier
from common.jwt.encoding import decode_base64url
from common.testing.statements import statements
from flask import Flask
from sqlalchemy import select, update

# For what is refused before the database is asked.
only_sqlite = pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)


def change_user(app: Flask, **values: object) -> None:
    with app.extensions["database"].write() as session:
        session.execute(update(User).values(**values))
        session.commit()


@pytest.fixture
def verifications(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes argon2 was asked to verify."""
    asked: list[str] = []
    original = argon2.PasswordHasher.verify

    def verify(self: argon2.PasswordHasher, password_hash: str, password: str) -> bool:
        asked.append(password_hash)
        return bool(original(self, password_hash, password))

    monkeypatch.setattr(argon2.PasswordHasher, "verify", verify)
    return asked


def test_a_login_gives_both_tokens_and_their_lifetimes(person: Any) -> None:
    person.register()
    response = person.log_in()
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    body = response.get_json()
    assert body.keys() == {
        "access_token",
        "token_type",
        "expires_in",
        "refresh_token",
        "refresh_expires_in",
        "scope",
    }
    assert (body["token_type"], body["expires_in"], body["refresh_expires_in"]) == ("Bearer", 600, 7 * 24 * 3600)
    assert body["scope"] == "contacts:read contacts:write jobs:read jobs:write"


def test_the_access_token_is_the_users_for_the_api(person: Any, app: Flask, own_key: SigningKey, clock: Any) -> None:
    token = person.tokens()["access_token"]
    verifier = TokenVerifier(
        StaticKeys([own_key.verifying_key]), app.extensions["settings"].auth_issuer, frozenset({"api"}), clock
    )
    claims = verifier.verify(token)
    with app.extensions["database"].read() as session:
        user_id = session.scalar(select(User.id))
        row = session.scalars(select(Session)).one()
    assert (claims.user_id, claims.sid, claims.client_id) == (user_id, row.id, "redprint")
    assert claims.auth_time == int(clock().timestamp())
    assert claims.scopes == {"contacts:read", "contacts:write", "jobs:read", "jobs:write"}
    assert person.email not in str(claims)


def test_a_token_for_auth_itself_carries_none_of_the_apis_scopes(person: Any, own_key: SigningKey, clock: Any) -> None:
    person.register()
    body = person.log_in(resource="auth").get_json()
    assert body["scope"] == ""
    assert person.me(body["access_token"]).status_code == 200


def test_nothing_stored_is_a_refresh_token_or_enough_to_make_one(person: Any, app: Flask) -> None:
    token = person.tokens()["refresh_token"]
    with app.extensions["database"].read() as session:
        row = session.execute(select(*Session.__table__.columns)).one()._mapping
    mac = decode_base64url(token.rpartition(".")[2])
    assert len(row["salt"]) == 16
    assert row["refresh_token_hash"] is None
    assert mac not in row.values()
    key = app.extensions["auth_dependencies"].refresh_keys.refresh_key()
    assert token == derive_refresh_token(key, row["id"], 0, row["salt"])
    assert token != derive_refresh_token(replace(key, secret=b"g" * 32), row["id"], 0, row["salt"])


def test_a_session_begins_with_where_it_came_from_and_the_epoch_of_its_user(
    make_app: Callable[..., Flask], make_person: Callable[..., Any]
) -> None:
    app = make_app(TRUSTED_PROXIES="1")
    person = make_person(app.test_client())
    person.register()
    change_user(app, session_epoch=7)
    headers = {"User-Agent": " Firefox\x07 on a phone ", "X-Forwarded-For": "203.0.113.9, 2001:db8::7"}
    person.post("login", {"email": person.email, "password": person.password}, headers=headers)
    with app.extensions["database"].read() as session:
        row = session.scalars(select(Session)).one()
    assert (row.device_label, row.ip) == ("Firefox on a phone", "2001:db8::7")
    assert (row.epoch, row.generation, row.rotated_at) == (7, 0, None)


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_a_login_costs_six_statements(person: Any, app: Flask, owner: Database) -> None:
    person.tokens()
    with statements(app.extensions["database"], owner.url) as counted:
        assert person.log_in().status_code == 200
    # The user; then the locked user, the session, and both events of the trail in one statement.
    assert dict(counted.kinds) == {"select": 2, "begin": 1, "insert": 2, "commit": 1}


def test_every_reason_to_refuse_looks_the_same_and_costs_one_verification(
    person: Any, make_app: Callable[..., Flask], make_person: Callable[..., Any], verifications: list[str]
) -> None:
    strict = make_person(make_app(EMAIL_VERIFICATION_REQUIRED="true").test_client(), email=person.email)
    disabled = make_person(person.client)
    person.register()
    disabled.register()
    app = person.client.application
    with app.extensions["database"].write() as session:
        session.execute(update(User).where(User.email == disabled.email).values(status="disabled"))
        session.commit()
    attempts = {
        "unknown": lambda: person.log_in(email="nobody@example.com"),
        "no address": lambda: person.log_in(email="nobody"),
        "wrong": lambda: person.log_in(password="wrong horse battery staple"),
        "nul": lambda: person.log_in(password="correct horse\0battery staple"),
        "disabled": disabled.log_in,
        "disabled and wrong": lambda: disabled.log_in(password="wrong horse battery staple"),
        "unverified": strict.log_in,
    }
    answers = {}
    for name, attempt in attempts.items():
        del verifications[:]
        response = attempt()
        assert len(verifications) == 1, name
        assert verifications[0].startswith("$argon2id$v=19$m=19456,t=2,p=1$"), name
        body = response.get_json()
        del body["trace_id"]
        answers[name] = (response.status_code, body, response.headers["WWW-Authenticate"])
    assert len({str(answer) for answer in answers.values()}) == 1
    status, body, challenge = answers["wrong"]
    assert (status, body["code"], challenge) == (401, "invalid-credentials", 'Bearer realm="redprint"')


def test_a_verified_address_may_log_in_where_verification_is_required(
    make_app: Callable[..., Flask], make_person: Callable[..., Any], clock: Any
) -> None:
    app = make_app(EMAIL_VERIFICATION_REQUIRED="true")
    person = make_person(app.test_client())
    person.register()
    assert person.log_in().status_code == 401
    change_user(app, email_verified_at=clock())
    assert person.log_in().status_code == 200


def test_a_hash_with_other_parameters_is_replaced_at_the_next_login(person: Any, app: Flask) -> None:
    person.register()
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(person.password)
    change_user(app, password_hash=weak)
    assert person.log_in(password="wrong horse battery staple").status_code == 401
    assert stored_hash(app) == weak
    assert person.log_in().status_code == 200
    assert stored_hash(app).startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert person.log_in().status_code == 200


def test_an_unreadable_hash_lets_nobody_in(person: Any, app: Flask) -> None:
    person.register()
    change_user(app, password_hash="!")
    assert person.log_in().status_code == 401


def stored_hash(app: Flask) -> str:
    with app.extensions["database"].read() as session:
        return str(session.scalar(select(User.password_hash)))


def test_a_user_disabled_between_the_check_and_the_session_gets_none(
    person: Any, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    person.register()
    original = BoundedHasher.verify

    def verify(self: BoundedHasher, password_hash: str | None, password: str) -> bool:
        change_user(app, status="disabled")
        return original(self, password_hash, password)

    monkeypatch.setattr(BoundedHasher, "verify", verify)
    assert person.log_in().status_code == 401
    with app.extensions["database"].read() as session:
        assert session.scalars(select(Session)).all() == []


@pytest.mark.parametrize("is_outdated", [False, True], ids=["", "and makes a new hash"])
def test_a_login_with_the_password_before_a_change_gets_no_session_after_it(
    person: Any, app: Flask, clock: Any, *, monkeypatch: pytest.MonkeyPatch, is_outdated: bool
) -> None:
    person.register()
    changed = argon2.PasswordHasher(time_cost=1, memory_cost=8192).hash("another battery staple")
    original = BoundedHasher.verify

    def verify(self: BoundedHasher, password_hash: str | None, password: str) -> bool:
        is_right = original(self, password_hash, password)
        clock.advance(1)
        change_user(app, password_hash=changed, password_changed_at=clock())
        return is_right

    monkeypatch.setattr(BoundedHasher, "verify", verify)
    monkeypatch.setattr(BoundedHasher, "is_outdated", lambda *_: is_outdated)
    assert person.log_in().status_code == 401
    assert stored_hash(app) == changed
    with app.extensions["database"].read() as session:
        assert session.scalars(select(Session)).all() == []


def test_a_new_hash_of_the_same_password_by_another_login_refuses_nobody(
    person: Any, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    person.register()
    rehashed = argon2.PasswordHasher(time_cost=1, memory_cost=8192).hash(person.password)
    original = BoundedHasher.verify

    def verify(self: BoundedHasher, password_hash: str | None, password: str) -> bool:
        is_right = original(self, password_hash, password)
        change_user(app, password_hash=rehashed)
        return is_right

    monkeypatch.setattr(BoundedHasher, "verify", verify)
    assert person.log_in().status_code == 200
    assert stored_hash(app) == rehashed


def test_while_all_slots_are_taken_a_login_is_sent_away_with_a_time_and_other_routes_answer(
    person: Any, app: Flask, assert_problem: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = person.tokens()["access_token"]
    hasher = app.extensions["auth_dependencies"].hasher
    monkeypatch.setattr(hasher, "_slots", BoundedSemaphore(1))
    monkeypatch.setattr("auth_service.hashing.QUEUE_SECONDS", 0.05)
    with hasher._slots:
        for attempt in (person.log_in, person.register):
            response = attempt()
            assert_problem(response, 503, "unavailable")
            assert response.headers["Retry-After"] == "1"
        assert person.me(token).status_code == 200
    assert person.log_in().status_code == 200


@only_sqlite
@pytest.mark.parametrize("slots", ["1", "2", "16"])
def test_a_flood_of_logins_leaves_one_of_the_threads_to_other_routes(
    make_app: Callable[..., Flask], make_person: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, slots: str
) -> None:
    app = make_app(WEB_THREADS="4", PASSWORD_HASH_SLOTS=slots)
    person = make_person(app.test_client())
    person.register()
    inside, release = Semaphore(0), Event()
    original = BoundedHasher._slot

    @contextmanager
    def hold(hasher: BoundedHasher) -> Iterator[None]:
        with original(hasher):
            inside.release()
            release.wait(10)
            yield

    monkeypatch.setattr(BoundedHasher, "_slot", hold)
    monkeypatch.setattr("auth_service.hashing.QUEUE_SECONDS", 10)
    with ThreadPoolExecutor(4) as pool:
        logins = [pool.submit(lambda: make_person(app.test_client(), person.email).log_in()) for _ in range(4)]
        assert inside.acquire(timeout=10)
        refused = next(as_completed(logins, timeout=5)).result()
        release.set()
    assert refused.status_code == 503
    assert sorted(login.result().status_code for login in logins) == [200, 200, 200, 503]


@only_sqlite
@pytest.mark.parametrize(
    "change", [{"resource": "worker"}, {"resource": 1}, {"scope": "admin"}, {"password": "x" * 1025}, {"email": None}]
)
def test_a_body_of_another_shape_is_refused(
    person: Any, assert_problem: Callable[..., Any], change: dict[str, object]
) -> None:
    body = assert_problem(person.log_in(**change), 422, "validation-failed")
    assert [error["field"] for error in body["errors"]] == list(change)


@only_sqlite
def test_credentials_in_the_url_are_refused(client: Any, assert_problem: Callable[..., Any]) -> None:
    assert_problem(client.post("/api/v1/auth/login?email=a&password=b", json={}), 422, "validation-failed")
    assert_problem(client.get("/api/v1/auth/login"), 405, "method-not-allowed")


def test_two_logins_are_two_sessions(person: Any) -> None:
    first, second = person.tokens(), person.log_in().get_json()
    assert first["refresh_token"] != second["refresh_token"]
    assert person.refresh(first["refresh_token"]).status_code == 200
    assert person.refresh(second["refresh_token"]).status_code == 200


def test_the_session_id_is_a_version_7_uuid(person: Any, app: Flask) -> None:
    person.tokens()
    with app.extensions["database"].read() as session:
        assert UUID(str(session.scalar(select(Session.id)))).version == 7
