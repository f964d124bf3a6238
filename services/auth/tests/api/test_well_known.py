"""What verifiers find at the addresses that standards fix."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.request import urlopen

import pytest
from auth_service.keys import KeyDirectory, changes
from common.jwt import KeyPolicyError, SigningKey
from common.jwt.encoding import decode_base64url
from common.jwt.jwks import PRIVATE_MEMBERS, parse_jwks
from common.testing.clock import SettableClock
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwk
from joserfc import jwt as joserfc_jwt
from joserfc.errors import JoseError
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

MakeApp = Callable[..., Flask]

JWKS = "/.well-known/jwks.json"


@pytest.fixture
def database_backend() -> str:
    """Nothing here touches the database: one is enough."""
    return "sqlite"


def test_the_published_set_is_the_signing_keys_public_half(client: FlaskClient, own_key: SigningKey) -> None:
    response = client.get(JWKS)
    assert (response.status_code, response.mimetype) == (200, "application/json")
    assert response.headers["Cache-Control"] == "public, max-age=300"
    assert parse_jwks(response.data) == {own_key.kid: own_key.verifying_key}
    for key in response.get_json()["keys"]:
        assert not PRIVATE_MEMBERS & key.keys()


def test_an_unchanged_set_is_not_sent_again(client: FlaskClient) -> None:
    etag = client.get(JWKS).headers["ETag"]
    response = client.get(JWKS, headers={"If-None-Match": etag})
    assert (response.status_code, response.data) == (304, b"")
    assert response.headers["Cache-Control"] == "public, max-age=300"
    assert client.get(JWKS, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("path", ["oauth-authorization-server", "openid-configuration"])
def test_the_metadata_names_the_issuer_and_where_its_keys_are(client: FlaskClient, app: Flask, path: str) -> None:
    response = client.get(f"/.well-known/{path}")
    issuer = app.extensions["settings"].auth_issuer
    assert response.get_json() == {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "revocation_endpoint_auth_methods_supported": ["none"],
        "scopes_supported": ["contacts:read", "contacts:write", "jobs:admin", "jobs:read", "jobs:write"],
        "response_types_supported": [],
        "grant_types_supported": [],
    }
    assert response.headers["Cache-Control"] == "public, max-age=300"


def test_what_the_metadata_names_is_there(client: FlaskClient, app: Flask) -> None:
    metadata = client.get("/.well-known/oauth-authorization-server").get_json()
    assert client.get(metadata["jwks_uri"].removeprefix(metadata["issuer"])).status_code == 200
    assert client.post(metadata["revocation_endpoint"].removeprefix(metadata["issuer"])).status_code == 400


@pytest.mark.parametrize("alg", ["ES256", "RS256"])
def test_a_login_is_signed_published_and_accepted_with_either_algorithm(
    make_app: MakeApp, make_person: Callable[..., Any], tmp_path: Path, alg: str
) -> None:
    changes.init(tmp_path, alg)
    person = make_person(make_app(AUTH_KEYS_DIR=str(tmp_path)).test_client())
    token = person.tokens()["access_token"]
    (published,) = person.client.get(JWKS).get_json()["keys"]
    assert published["alg"] == alg
    assert person.me(token).status_code == 200


def test_keys_change_while_the_service_runs(
    make_app: MakeApp, make_person: Callable[..., Any], tmp_path: Path, clock: SettableClock
) -> None:
    """From the first key alone to the second alone, and tokens of both good for as long as they should be."""
    changes.init(tmp_path)
    app = make_app(AUTH_KEYS_DIR=str(tmp_path), ACCESS_TOKEN_TTL_SECONDS="3600")
    client = app.test_client()
    person = make_person(client)
    old_token = person.tokens()["access_token"]
    etags = [client.get(JWKS).headers["ETag"]]

    def kids() -> list[str]:
        response = client.get(JWKS, headers={"If-None-Match": etags[-1]})
        if response.status_code == 304:
            return []
        etags.append(response.headers["ETag"])
        return [key["kid"] for key in response.get_json()["keys"]]

    changes.rotate(tmp_path, clock(), timedelta(minutes=5))
    assert kids() == []  # not read yet
    assert directory_of(app).reload_if_changed()
    old, new, reserve = kids()
    assert kid_of(person.log_in().get_json()["access_token"]) == old
    clock.advance(300)
    new_token = person.log_in().get_json()["access_token"]
    assert (kid_of(old_token), kid_of(new_token)) == (old, new)
    assert person.me(old_token).status_code == person.me(new_token).status_code == 200
    clock.advance(3600 + 30 + 300 - 1)
    assert kids() == []
    clock.advance(1)
    assert kids() == [new, reserve]


def test_a_token_of_a_revoked_key_is_refused_at_once(
    make_app: MakeApp, make_person: Callable[..., Any], tmp_path: Path, clock: SettableClock
) -> None:
    """Though it was verified, and remembered as good, a moment ago."""
    changes.init(tmp_path)
    app = make_app(AUTH_KEYS_DIR=str(tmp_path))
    person = make_person(app.test_client())
    token = person.tokens()["access_token"]
    assert person.me(token).status_code == 200
    changes.revoke(tmp_path, clock(), kid_of(token))
    assert directory_of(app).reload_if_changed()
    assert person.me(token).status_code == 401
    assert person.me(person.log_in().get_json()["access_token"]).status_code == 200


def test_a_private_member_stops_the_start(make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes.init(tmp_path)
    monkeypatch.setattr("common.jwt.VerifyingKey.jwk", lambda _: {"kty": "EC", "d": "secret"})
    with pytest.raises(KeyPolicyError, match="private"):
        make_app(AUTH_KEYS_DIR=str(tmp_path))


@pytest.fixture
def serve(make_app: MakeApp, free_port: Callable[[], int]) -> Iterator[Callable[..., tuple[Flask, str]]]:
    """Serves an application on a port of this machine; gives it and its address."""
    started: list[tuple[BaseWSGIServer, Thread]] = []

    def start(**variables: str) -> tuple[Flask, str]:
        port = free_port()
        app = make_app(AUTH_ISSUER=f"http://127.0.0.1:{port}", **variables)
        server = make_server("127.0.0.1", port, app, threaded=True, request_handler=SilentHandler)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        started.append((server, thread))
        return app, f"http://127.0.0.1:{port}"

    yield start
    for server, thread in started:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("well_known", ["oauth-authorization-server", "openid-configuration"])
@pytest.mark.parametrize("alg", ["ES256", "RS256"])
def test_another_library_verifies_a_login_with_nothing_but_the_metadata(
    serve: Callable[..., tuple[Flask, str]], make_person: Callable[..., Any], tmp_path: Path, alg: str, well_known: str
) -> None:
    changes.init(tmp_path, alg)
    app, address = serve(AUTH_KEYS_DIR=str(tmp_path))
    token = make_person(app.test_client()).tokens()["access_token"]
    metadata = fetch(f"{address}/.well-known/{well_known}")
    keys = jwk.KeySet.import_key_set(fetch(metadata["jwks_uri"]))
    decoded = joserfc_jwt.decode(token, keys, algorithms=[alg])
    assert decoded.header["typ"] == "at+jwt"
    registry = joserfc_jwt.JWTClaimsRegistry(
        now=int(SettableClock().now.timestamp()),
        iss={"essential": True, "value": address},
        aud={"essential": True, "value": "api"},
    )
    registry.validate(decoded.claims)
    head, payload, signature = token.split(".")
    with pytest.raises(JoseError):
        joserfc_jwt.decode(f"{head}.{payload[:-1]}{'A' if payload[-1] != 'A' else 'B'}.{signature}", keys)


def fetch(url: str) -> Any:
    with urlopen(url, timeout=10) as response:
        return json.load(response)


def kid_of(token: str) -> str:
    kid: str = json.loads(decode_base64url(token.split(".", maxsplit=1)[0]))["kid"]
    return kid


def directory_of(app: Flask) -> KeyDirectory:
    keys = app.extensions["auth_dependencies"].refresh_keys
    assert isinstance(keys, KeyDirectory)
    return keys


class SilentHandler(WSGIRequestHandler):
    """Says nothing about requests."""

    def log(self, *_: Any) -> None:
        """Do nothing."""
