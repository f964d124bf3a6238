"""The real application on a fresh database, and the few steps most tests begin with."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from auth_service.app import create_app
from auth_service.config import AuthSettings
from auth_service.dependencies import Publisher
from auth_service.keys import KeyDirectory, changes
from auth_service.models import AuditEvent, Session
from auth_service.scopes import AUDIENCES
from common.config import load_settings
from common.db import Database
from common.ids import new_id
from common.jwt import Claims, SigningKey, StaticKeys, TokenVerifier
from common.testing.clock import SettableClock
from common.testing.revocations import RevocationsByHand
from common.testing.tokens import TEST_ISSUER
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

PASSWORD = "correct horse battery staple"

MakeApp = Callable[..., Flask]


@pytest.fixture(scope="session")
def keys_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    changes.init(directory)
    return directory


@pytest.fixture
def own_key(keys_dir: Path) -> SigningKey:
    return KeyDirectory(keys_dir).active_signing_key()


@pytest.fixture
def database_url(database_url_factory: Callable[[str], str]) -> str:
    return database_url_factory("auth_service")


@pytest.fixture
def owner(database_url: str) -> Iterator[Database]:
    """The database of the applications, for what those may not do themselves."""
    database = Database(database_url)
    yield database
    database.dispose()


@pytest.fixture
def revocations() -> RevocationsByHand:
    """The revoked sessions the applications of this test know; they hear of each other's at once, without a stream."""
    return RevocationsByHand()


@pytest.fixture
def make_app(
    database_url: str,
    as_role: Callable[[str, str, str], str],
    keys_dir: Path,
    clock: SettableClock,
    revocations: RevocationsByHand,
) -> Iterator[MakeApp]:
    """Makes applications on one database; keyword arguments are variables of the environment.

    On MySQL they work with the privileges they have once deployed.
    """
    url = as_role(database_url, "auth_service", "app")
    made: list[Flask] = []

    def make(**variables: str) -> Flask:
        environment = {
            "APP_ENV": "testing",
            "DATABASE_URL": url,
            "DB_POOL_SIZE": "8",
            "AUTH_KEYS_DIR": str(keys_dir),
            "EMAIL_VERIFICATION_REQUIRED": "false",
            "LOG_LEVEL": "error",
        }
        made.append(create_app(load_settings(AuthSettings, environment | variables), clock, revocations=revocations))
        return made[-1]

    yield make
    for app in made:
        app.extensions["database"].dispose()


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@dataclass
class Person:
    """Somebody with an address of their own, talking to the service."""

    client: FlaskClient
    email: str = field(default_factory=lambda: f"{new_id().hex}@example.com")
    password: str = PASSWORD

    def register(self, **changes: Any) -> TestResponse:
        return self.post("register", {"email": self.email, "password": self.password} | changes)

    def log_in(self, **changes: Any) -> TestResponse:
        return self.post("login", {"email": self.email, "password": self.password} | changes)

    def refresh(self, token: str, headers: dict[str, str] | None = None, **changes: Any) -> TestResponse:
        return self.post("refresh", {"refresh_token": token} | changes, headers=headers)

    def tokens(self) -> dict[str, Any]:
        """Register and log in."""
        assert self.register().status_code == 202
        tokens: dict[str, Any] = self.log_in().get_json()
        return tokens

    def post(self, route: str, body: object, **options: Any) -> TestResponse:
        return self.client.post(f"/api/v1/auth/{route}", json=body, **options)

    def me(self, access_token: str) -> TestResponse:
        return self.client.get("/api/v1/users/me", headers=bearer(access_token))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def person(client: FlaskClient) -> Person:
    return Person(client)


@pytest.fixture
def as_bearer() -> Callable[[str], dict[str, str]]:
    return bearer


@pytest.fixture
def make_person() -> Callable[[FlaskClient], Person]:
    return Person


@dataclass
class Bulletin:
    """Stands before the publisher, and remembers what it was given and whether the database knew of it by then."""

    database: Database
    publisher: Publisher
    session_ids: list[UUID] = field(default_factory=list)
    were_ended: list[bool] = field(default_factory=list)

    def publish(self, session_ids: Collection[UUID]) -> None:
        assert session_ids
        with self.database.read() as session:
            ended = select(Session.revoked_at.is_not(None)).where(Session.id.in_(session_ids))
            self.were_ended += session.scalars(ended)
        self.session_ids += session_ids
        self.publisher.publish(session_ids)


@pytest.fixture
def bulletin(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Bulletin:
    """What the application publishes from now on."""
    deps = app.extensions["auth_dependencies"]
    bulletin = Bulletin(deps.database, deps.publisher)
    monkeypatch.setitem(app.extensions, "auth_dependencies", replace(deps, publisher=bulletin))
    return bulletin


@pytest.fixture
def own_claims(own_key: SigningKey, clock: SettableClock) -> Callable[[str], Claims]:
    """Reads an access token of the service, whatever has become of its session."""
    keys = StaticKeys([own_key.verifying_key])
    return lambda token: TokenVerifier(keys, TEST_ISSUER, AUDIENCES, clock).verify(token)


@pytest.fixture
def sessions_of(app: Flask) -> Callable[[], list[Session]]:
    """Reads all sessions, oldest first."""

    def read() -> list[Session]:
        with app.extensions["database"].read() as session:
            return list(session.scalars(select(Session).order_by(Session.id)))

    return read


@pytest.fixture
def audit_trail(app: Flask) -> Callable[..., list[AuditEvent]]:
    """Reads the events recorded so far, oldest first; those with one of the names, if any are given."""

    def read(*names: str) -> list[AuditEvent]:
        with app.extensions["database"].read() as session:
            rows = session.scalars(select(AuditEvent).order_by(AuditEvent.id))
            return [row for row in rows if not names or row.event in names]

    return read


@pytest.fixture
def assert_problem() -> Callable[[TestResponse, int, str], dict[str, Any]]:
    """Assert the status and code of a problem in the one shape they all have; return its body."""

    def check(response: TestResponse, status: int, code: str) -> dict[str, Any]:
        body: dict[str, Any] = response.get_json()
        assert (response.status_code, body["code"]) == (status, code)
        assert response.content_type == "application/problem+json"
        assert body.keys() - {"errors"} == {"type", "title", "status", "detail", "instance", "code", "trace_id"}
        assert status != 401 or "WWW-Authenticate" in response.headers
        return body

    return check
