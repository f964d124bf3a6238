"""What the running service answers to tokens that are not right: 401, 400 or 403 as problems, never 500."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from common.ids import new_id
from common.jwt import SigningKey, StaticSigningKey, TokenIssuer
from common.testing.forgeries import FORGERIES, Forger
from common.testing.serving import served, status_of_get
from common.testing.tokens import TEST_ISSUER, TokenFor
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

INVALID = 'Bearer realm="redprint", error="invalid_token", error_description="The access token is not valid"'
PATH = "/api/v1/contacts"


@pytest.fixture
def database_backend() -> str:
    """Refusals never reach the database (a test of the access rules counts): one is enough."""
    return "sqlite"


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def forger(token_for: TokenFor, signing_key: SigningKey) -> Forger:
    return Forger(token_for(new_id()), signing_key)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def assert_problem(response: TestResponse, status: int, code: str, challenge: str) -> dict[str, Any]:
    body: dict[str, Any] = response.get_json()
    assert (response.status_code, body["code"]) == (status, code)
    assert response.content_type == "application/problem+json"
    assert response.headers.getlist("WWW-Authenticate") == [challenge]
    return body


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_token_gets_401_and_one_text_for_all(
    client: FlaskClient, forger: Forger, forge: Callable[[Forger], str]
) -> None:
    body = assert_problem(client.get(PATH, headers=bearer(forge(forger))), 401, "invalid-token", INVALID)
    assert (
        body["detail"] == "The access token is not valid here: it is malformed, expired, or meant for something else."
    )


def test_the_genuine_token_is_accepted_whatever_the_case_of_the_scheme(client: FlaskClient, forger: Forger) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert client.get(PATH, headers={"Authorization": f"{scheme} {forger.token}"}).status_code == 200
    for typ in ("AT+JWT", "application/at+jwt"):
        assert client.get(PATH, headers=bearer(forger.sign({"typ": typ}))).status_code == 200


def test_a_token_meant_for_auth_is_refused_a41(client: FlaskClient, forger: Forger) -> None:
    response = client.get(PATH, headers=bearer(forger.sign(claims={"aud": "auth"})))
    assert_problem(response, 401, "invalid-token", INVALID)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic YTpi"}, {"Authorization": ""}])
def test_without_a_token_the_challenge_names_no_error(client: FlaskClient, headers: dict[str, str]) -> None:
    response = client.get(PATH, headers=headers)
    assert_problem(response, 401, "authentication-required", 'Bearer realm="redprint"')


def test_two_authorization_headers_are_refused_a65(client: FlaskClient, forger: Forger) -> None:
    good = ("Authorization", f"Bearer {forger.token}")
    for second in (good, ("Authorization", "Basic YTpi"), ("Authorization", "")):
        response = client.get(PATH, headers=[good, second])
        assert_problem(response, 400, "invalid-request", 'Bearer realm="redprint", error="invalid_request"')


def test_a_server_hands_on_two_authorization_headers_so_that_they_are_seen_a65(app: Flask, forger: Forger) -> None:
    good = f"Bearer {forger.token}"
    with served(app) as port:
        assert status_of_get(port, PATH, good) == 200
        assert status_of_get(port, PATH, good, good) == 400
        assert status_of_get(port, PATH, good, "Basic YTpi") == 400
        assert status_of_get(port, PATH, f"Bearer {forger.edited()}") == 401
        assert status_of_get(port, PATH) == 401


def test_a_token_in_the_url_is_refused_a65(client: FlaskClient, forger: Forger) -> None:
    for headers in ({}, bearer(forger.token)):
        response = client.get(f"{PATH}?access_token={forger.token}", headers=headers)
        assert_problem(response, 400, "invalid-request", 'Bearer realm="redprint", error="invalid_request"')


def test_a_token_in_a_form_is_no_credential_a65(client: FlaskClient, forger: Forger) -> None:
    response = client.post(PATH, data={"access_token": forger.token})
    assert_problem(response, 401, "authentication-required", 'Bearer realm="redprint"')


def test_a_services_own_token_does_not_act_as_a_user_a42(client: FlaskClient, signing_key: SigningKey) -> None:
    issuer = TokenIssuer(StaticSigningKey(signing_key), TEST_ISSUER, 600)
    token = issuer.issue("reports", audience="api", scopes={"contacts:read"}, client_id="reports")
    response = client.get(PATH, headers=bearer(token))
    assert (response.status_code, response.get_json()["code"]) == (403, "user-required")


def test_a_token_without_the_scope_gets_403_naming_it(client: FlaskClient, forger: Forger) -> None:
    for scope in ("contacts:write", None):
        response = client.get(PATH, headers=bearer(forger.sign(claims={"scope": scope})))
        challenge = 'Bearer realm="redprint", error="insufficient_scope", scope="contacts:read"'
        assert_problem(response, 403, "insufficient-scope", challenge)


def test_the_token_of_a_revoked_session_is_refused_as_any_other_a72(
    client: FlaskClient, forger: Forger, revocations: Any
) -> None:
    assert client.get(PATH, headers=bearer(forger.token)).status_code == 200
    revocations.add([UUID(forger.claims["sid"])])
    for token in (forger.token, forger.sign()):
        assert_problem(client.get(PATH, headers=bearer(token)), 401, "invalid-token", INVALID)
