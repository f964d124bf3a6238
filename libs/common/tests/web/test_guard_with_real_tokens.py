"""The guard with the verifier it has in production: forged and misused tokens are 401, never 500."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from common.access import current_principal, require
from common.clock import utc_now
from common.ids import new_id
from common.jwt import SigningKey, StaticKeys, StaticSigningKey, TokenIssuer, TokenVerifier, jwks_document
from common.redprint import Redprint
from common.web.shapes import View
from cryptography.hazmat.primitives.asymmetric import ec
from flask.testing import FlaskClient

ISSUER = "http://127.0.0.1:8001"
USER_ID = new_id()


class Caller(View):
    user: str


items = Redprint("items")


@items.get("", access=require("contacts:read"), response=Caller)
def show_caller() -> Caller:
    return Caller(user=str(current_principal().user_id))


@pytest.fixture
def client(make_client: Callable[..., FlaskClient], signing_key: SigningKey) -> FlaskClient:
    keys = StaticKeys([signing_key.verifying_key])
    return make_client(items, verifier=TokenVerifier(keys, ISSUER, frozenset({"api"})))


def encode(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def decode(segment: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(segment + "=="))
    return found


def sign_with_public_key(token: str, key: SigningKey) -> str:
    """The classic confusion: HMAC with the published key as its secret."""
    header, payload, _ = token.split(".")
    unsigned = f"{encode(decode(header) | {'alg': 'HS256'})}.{payload}"
    secret = json.dumps(jwks_document([key.verifying_key])).encode()
    return f"{unsigned}.{encode(hmac.digest(secret, unsigned.encode(), hashlib.sha256))}"


def without_algorithm(token: str) -> str:
    header, payload, _ = token.split(".")
    return f"{encode(decode(header) | {'alg': 'none'})}.{payload}."


def with_more_scopes(token: str) -> str:
    header, payload, signature = token.split(".")
    return f"{header}.{encode(decode(payload) | {'scope': 'admin:all'})}.{signature}"


def test_a_token_as_auth_issues_it_is_good(client: FlaskClient, token_for: Any) -> None:
    answer = client.get("/api/v1/items", headers={"Authorization": f"Bearer {token_for(USER_ID)}"})
    assert (answer.status_code, answer.json) == (200, {"user": str(USER_ID)})


def test_its_scopes_count(client: FlaskClient, token_for: Any) -> None:
    token = token_for(USER_ID, scopes=["jobs:read"])
    answer = client.get("/api/v1/items", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json["code"]) == (403, "insufficient-scope")


def issue_an_hour_ago(key: SigningKey) -> str:
    moment = utc_now() - timedelta(hours=1)
    return TokenIssuer(StaticSigningKey(key), ISSUER, 600, lambda: moment).issue(
        USER_ID,
        audience="api",
        scopes=["contacts:read"],
        client_id="redprint",
        session_id=new_id(),
        auth_time=moment,
    )


FORGERIES: dict[str, Callable[[Any, SigningKey], str]] = {
    "HS256 over the public key": lambda token_for, key: sign_with_public_key(token_for(USER_ID), key),
    "alg none": lambda token_for, key: without_algorithm(token_for(USER_ID)),
    "an edited payload": lambda token_for, key: with_more_scopes(token_for(USER_ID)),
    "another audience": lambda token_for, key: token_for(USER_ID, audience="auth"),
    "another issuer": lambda token_for, key: token_for(USER_ID, issuer="http://evil.example"),
    "expired": lambda token_for, key: issue_an_hour_ago(key),
    "a refresh token": lambda token_for, key: "rt0.019284ab.c2lnbmF0dXJl",
    "two segments": lambda token_for, key: "a.b",
    "ten thousand characters": lambda token_for, key: "a" * 10_000,
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forged_or_misused_token_is_401(
    client: FlaskClient, token_for: Any, signing_key: SigningKey, forge: Callable[[Any, SigningKey], str]
) -> None:
    answer = client.get("/api/v1/items", headers={"Authorization": f"Bearer {forge(token_for, signing_key)}"})
    assert (answer.status_code, answer.json["code"]) == (401, "invalid-token")
    assert answer.content_type == "application/problem+json"
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_a_token_of_an_unknown_key_is_401(make_client: Callable[..., FlaskClient], token_for: Any) -> None:
    stranger = SigningKey.of(ec.generate_private_key(ec.SECP256R1()))
    client = make_client(
        items, verifier=TokenVerifier(StaticKeys([stranger.verifying_key]), ISSUER, frozenset({"api"}))
    )
    answer = client.get("/api/v1/items", headers={"Authorization": f"Bearer {token_for(USER_ID)}"})
    assert (answer.status_code, answer.json["code"]) == (401, "invalid-token")
