"""An api service on a database of its own, with keys of the test run."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from api_service.app import create_app
from api_service.config import APISettings
from common.config import load_settings
from common.db import Database
from common.ids import new_id
from common.jwt import SigningKey, StaticKeys
from common.testing.databases import Schema
from common.testing.revocations import RevocationsByHand
from common.testing.tokens import TEST_ISSUER, TokenFor
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

IMPORT_MAX_BYTES = 256 * 1024


@pytest.fixture
def database(make_database: Callable[[Schema], Database]) -> Database:
    """The service's database, migrated; the application has a pool of its own, with its user once deployed."""
    return make_database("api_service")


@pytest.fixture
def revocations() -> RevocationsByHand:
    """Which sessions were revoked, as the application hears of it."""
    return RevocationsByHand()


@pytest.fixture
def app(
    database: Database,
    as_role: Callable[[str, str, str], str],
    signing_key: SigningKey,
    revocations: RevocationsByHand,
) -> Iterator[Flask]:
    url = database.url.set(drivername=database.dialect_name).render_as_string(hide_password=False)
    settings = load_settings(
        APISettings,
        {
            "APP_ENV": "testing",
            "DATABASE_URL": as_role(url, "api_service", "app"),
            "AUTH_ISSUER": TEST_ISSUER,
            "IMPORT_MAX_BYTES": str(IMPORT_MAX_BYTES),
        },
    )
    application = create_app(settings, keys=StaticKeys([signing_key.verifying_key]), revocations=revocations)
    yield application
    application.extensions["database"].dispose()


class User:
    """A caller with a token: `get`, `post`, ... send it along."""

    def __init__(self, client: FlaskClient, token_for: TokenFor, user_id: UUID) -> None:
        self.id = user_id
        self._client = client
        self._token_for = token_for

    def open(self, method: str, path: str, *, scopes: tuple[str, ...] | None = None, **options: Any) -> TestResponse:
        token = self._token_for(self.id) if scopes is None else self._token_for(self.id, scopes)
        headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
        return self._client.open(path, method=method, headers=headers, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.open("GET", path, **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        return self.open("POST", path, **options)

    def patch(self, path: str, **options: Any) -> TestResponse:
        return self.open("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self.open("DELETE", path, **options)


@pytest.fixture
def new_user(app: Flask, token_for: TokenFor) -> Callable[[], User]:
    return lambda: User(app.test_client(), token_for, new_id())


@pytest.fixture
def user(new_user: Callable[[], User]) -> User:
    return new_user()
