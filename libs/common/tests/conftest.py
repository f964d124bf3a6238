"""What the tests of the web parts share: applications made of a few Redprints, and a verifier that knows its tokens."""

from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
import structlog
from common.config import WebSettings, load_settings
from common.jwt import Claims, Refusal, TokenInvalid
from common.redprint import Redprint
from common.web.app import create_app
from flask import Blueprint, Flask
from flask.testing import FlaskClient

USER_ID = UUID("019284ab-0000-7000-8000-000000000001")
SESSION_ID = UUID("019284ab-0000-7000-8000-000000000002")


class KnownTokens:
    """Takes the tokens added to it and refuses all others."""

    user_id = USER_ID
    session_id = SESSION_ID

    def __init__(self) -> None:
        self._claims: dict[str, Claims] = {}

    def add(self, token: str, *scopes: str, audience: str = "api", user_id: UUID | None = USER_ID) -> str:
        """Know a token from now on; without a user it is a service's own. Return its header."""
        self._claims[token] = Claims(
            iss="http://127.0.0.1:8001",
            aud=audience,
            sub=str(user_id or "billing"),
            client_id="redprint" if user_id else "billing",
            jti="1",
            iat=1,
            exp=2,
            nbf=None,
            scopes=frozenset(scopes),
            sid=SESSION_ID if user_id else None,
            auth_time=1,
            user_id=user_id,
        )
        return f"Bearer {token}"

    def verify(self, token: str) -> Claims:
        if token not in self._claims:
            raise TokenInvalid(Refusal.SIGNATURE)
        return self._claims[token]


@pytest.fixture
def tokens() -> KnownTokens:
    return KnownTokens()


@pytest.fixture
def make_app(tokens: KnownTokens) -> Callable[..., Flask]:
    """Makes an application that serves Redprints below `/api/v1`; other arguments are those of create_app."""

    def make(*redprints: Redprint, env: dict[str, str] | None = None, **options: object) -> Flask:
        blueprint = Blueprint("v1", __name__, url_prefix="/api/v1")
        for redprint in redprints:
            redprint.register(blueprint)
        settings = load_settings(WebSettings, {"APP_ENV": "testing", **(env or {})})
        return create_app(
            __name__, settings, **{"blueprints": [blueprint], "problems": {}, "verifier": tokens, **options}
        )

    return make


@pytest.fixture
def make_client(make_app: Callable[..., Flask]) -> Callable[..., FlaskClient]:
    return lambda *redprints, **options: make_app(*redprints, **options).test_client()


@pytest.fixture(autouse=True)
def _forget_bound_fields() -> Iterator[None]:
    yield
    structlog.contextvars.clear_contextvars()
