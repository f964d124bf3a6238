"""The service as a whole: its settings, its start, its probes."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from api_service.app import create_app
from api_service.config import APISettings
from common.config import ConfigError, load_settings
from common.db import Database
from common.ids import new_id
from common.jwt import JWKSCache, SigningKey, jwks_document
from common.testing.tokens import TokenFor
from common.web.lifecycle import stop_worker
from flask import Flask

README = Path(__file__).parents[1] / "README.md"
PRODUCTION = {
    "APP_ENV": "production",
    "DATABASE_URL": "mysql+pymysql://api@db/api",
    "AUTH_ISSUER": "https://auth.example.org",
    "AUTH_JWKS_URL": "http://auth.auth.svc/.well-known/jwks.json",
    "STATE_URL": "redis://state:pw@valkey:6379/0",
}


def test_production_needs_a_database_an_issuer_and_its_keys_and_names_all_that_is_missing() -> None:
    settings = load_settings(APISettings, PRODUCTION)
    assert (settings.service_name, settings.import_max_bytes) == ("api", 100 * 1024 * 1024)
    with pytest.raises(ConfigError) as refused:
        load_settings(APISettings, {"APP_ENV": "production"})
    missing = {problem.variable for problem in refused.value.problems}
    assert missing == {"DATABASE_URL", "AUTH_ISSUER", "AUTH_JWKS_URL", "STATE_URL"}


@pytest.mark.parametrize("variable", ["DATABASE_URL", "AUTH_JWKS_URL"])
def test_production_refuses_a_development_default(variable: str) -> None:
    development = load_settings(APISettings, {"APP_ENV": "development"})
    default = {"DATABASE_URL": development.database_url.get_secret_value(), "AUTH_JWKS_URL": development.auth_jwks_url}
    with pytest.raises(ConfigError, match=variable):
        load_settings(APISettings, {**PRODUCTION, variable: default[variable]})


def test_the_readme_lists_every_variable_of_the_api_with_its_default() -> None:
    text = README.read_text(encoding="utf-8")
    own = set(APISettings.__annotations__) - {"development_only"}
    for name in own:
        assert f"`{name.upper()}`" in text
    assert str(APISettings.model_fields["import_max_bytes"].default) in text


def test_making_the_application_opens_nothing(tmp_path: Path) -> None:
    settings = load_settings(
        APISettings,
        {"APP_ENV": "testing", "DATABASE_URL": f"sqlite:///{tmp_path}/x.db", "AUTH_ISSUER": "http://auth.test"},
    )
    create_app(settings)
    assert os.listdir(tmp_path) == []


def test_the_service_is_ready_once_its_schema_is_there(app: Flask, database: Database) -> None:
    client = app.test_client()
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 200
    assert client.get("/version").get_json()["service"] == "api"


def test_the_service_is_not_ready_without_its_schema(tmp_path: Path) -> None:
    settings = load_settings(APISettings, {"APP_ENV": "testing", "DATABASE_URL": f"sqlite:///{tmp_path}/x.db"})
    app = create_app(settings)
    response = app.test_client().get("/readyz")
    assert (response.status_code, response.get_json()["code"]) == (503, "not-ready")
    stop_worker(app)


@pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)
def test_no_token_is_accepted_while_the_keys_cannot_be_fetched(
    database: Database, token_for: TokenFor, free_port: Callable[[], int]
) -> None:
    settings = load_settings(
        APISettings,
        {
            "APP_ENV": "testing",
            "DATABASE_URL": database.url.render_as_string(hide_password=False),
            "AUTH_ISSUER": "http://127.0.0.1:8001",
            "AUTH_JWKS_URL": f"http://127.0.0.1:{free_port()}/jwks.json",
        },
    )
    app = create_app(settings)
    headers = {"Authorization": f"Bearer {token_for(new_id())}"}
    assert app.test_client().get("/api/v1/contacts", headers=headers).status_code == 401
    not_ready = app.test_client().get("/readyz")
    assert (not_ready.status_code, not_ready.get_json()["code"]) == (503, "not-ready")
    assert "keys" in not_ready.get_json()["detail"]
    stop_worker(app)


@pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)
def test_a_bundled_key_set_lets_the_service_start_while_auth_is_away(
    database: Database, token_for: TokenFor, signing_key: SigningKey, free_port: Callable[[], int], tmp_path: Path
) -> None:
    (tmp_path / "jwks.json").write_text(json.dumps(jwks_document([signing_key])))
    settings = load_settings(
        APISettings,
        {
            "APP_ENV": "testing",
            "DATABASE_URL": database.url.render_as_string(hide_password=False),
            "AUTH_ISSUER": "http://127.0.0.1:8001",
            "AUTH_JWKS_URL": f"http://127.0.0.1:{free_port()}/jwks.json",
            "AUTH_JWKS_FILE": str(tmp_path / "jwks.json"),
        },
    )
    app = create_app(settings)
    headers = {"Authorization": f"Bearer {token_for(new_id())}"}
    assert app.test_client().get("/api/v1/contacts", headers=headers).status_code == 200
    assert app.test_client().get("/readyz").status_code == 200
    stop_worker(app)


def test_a_bundled_key_set_that_cannot_be_used_is_a_problem_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_text('{"keys": [{"kty": "oct", "k": "AAAA"}]}')
    for name, reason in (("jwks.json", "private or symmetric"), ("absent.json", "cannot be read")):
        with pytest.raises(ConfigError, match=rf"AUTH_JWKS_FILE.*{reason}"):
            load_settings(APISettings, {**PRODUCTION, "AUTH_JWKS_FILE": str(tmp_path / name)})


def test_news_of_changed_keys_makes_the_service_ask_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Callable[[], object]] = []
    monkeypatch.setattr("common.revocation.RevokedSessions.on_keys_changed", lambda _, callback: heard.append(callback))
    hints: list[JWKSCache] = []

    def note(cache: JWKSCache) -> None:
        hints.append(cache)

    monkeypatch.setattr(JWKSCache, "refresh_soon", note)
    create_app(load_settings(APISettings, {"APP_ENV": "testing", "DATABASE_URL": f"sqlite:///{tmp_path}/x.db"}))
    for callback in heard:
        callback()
    assert len(hints) == 1


@pytest.mark.parametrize("url", ["", "auth.auth.svc", "ftp://auth/jwks.json", "http://auth:port/jwks.json"])
def test_an_address_keys_cannot_come_from_is_a_problem_of_the_settings(url: str) -> None:
    with pytest.raises(ConfigError, match="AUTH_JWKS_URL"):
        load_settings(APISettings, {**PRODUCTION, "AUTH_JWKS_URL": url})
