"""What verifiers find at the addresses that standards fix."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from auth_service.keys import changes
from common.jwt import SigningKey
from common.jwt.jwks import PRIVATE_MEMBERS, parse_jwks
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwk
from joserfc import jwt as joserfc_jwt

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


def test_the_metadata_names_the_issuer_and_where_its_keys_are(client: FlaskClient, app: Flask) -> None:
    response = client.get("/.well-known/oauth-authorization-server")
    issuer = app.extensions["settings"].auth_issuer
    assert response.get_json() == {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "scopes_supported": ["contacts:read", "contacts:write", "jobs:read", "jobs:write"],
        "response_types_supported": [],
        "grant_types_supported": [],
    }
    assert response.headers["Cache-Control"] == "public, max-age=300"


@pytest.mark.parametrize("alg", ["ES256", "RS256"])
def test_another_library_verifies_a_login_with_nothing_but_the_metadata(
    make_app: Callable[..., Flask], make_person: Callable[..., Any], tmp_path: Path, alg: str
) -> None:
    changes.init(tmp_path, alg)
    client = make_app(AUTH_KEYS_DIR=str(tmp_path)).test_client()
    metadata = client.get("/.well-known/oauth-authorization-server").get_json()
    path = metadata["jwks_uri"].removeprefix(metadata["issuer"])
    keys = jwk.KeySet.import_key_set(client.get(path).get_json())
    token = joserfc_jwt.decode(make_person(client).tokens()["access_token"], keys, algorithms=[alg])
    assert token.header["typ"] == "at+jwt"
    assert (token.claims["iss"], token.claims["aud"]) == (metadata["issuer"], "api")
