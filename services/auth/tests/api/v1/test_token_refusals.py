"""What the running service answers to tokens that are not right: 401, 400 or 403 as problems, never 500."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from common.access import require, service_only
from common.ids import new_id
from common.jwt import SigningKey, StaticSigningKey, TokenIssuer
from common.redprint import Redprint
from common.testing.forgeries import FORGERIES, Forger
from common.testing.serving import served, status_of_get
from flask import Flask
from flask.testing import FlaskClient

INVALID = 'Bearer realm="redprint", error="invalid_token", error_description="The access token is not valid"'
ME = "/api/v1/users/me"


@pytest.fixture
def database_backend() -> str:
    """Refusals never reach the database (a test of users/me counts): one is enough."""
    return "sqlite"


@pytest.fixture
def forger(app: Flask, own_key: SigningKey, clock: Any) -> Forger:
    issuer = TokenIssuer(StaticSigningKey(own_key), app.extensions["settings"].auth_issuer, 600, clock)
    scopes = {"contacts:read", "contacts:write"}
    token = issuer.issue(new_id(), audience="api", scopes=scopes, client_id="redprint", session_id=new_id())
    return Forger(token, own_key)


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_token_gets_401_and_one_text_for_all(
    client: FlaskClient,
    forger: Forger,
    as_bearer: Callable[..., Any],
    assert_problem: Callable[..., Any],
    forge: Callable[[Forger], str],
) -> None:
    response = client.get(ME, headers=as_bearer(forge(forger)))
    body = assert_problem(response, 401, "invalid-token")
    assert response.headers["WWW-Authenticate"] == INVALID
    assert (
        body["detail"] == "The access token is not valid here: it is malformed, expired, or meant for something else."
    )


def test_the_genuine_token_is_accepted_whatever_the_case_of_the_scheme(
    client: FlaskClient, person: Any, own_key: SigningKey
) -> None:
    genuine = Forger(person.tokens()["access_token"], own_key)
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert client.get(ME, headers={"Authorization": f"{scheme} {genuine.token}"}).status_code == 200
    other_spelling = genuine.sign({"typ": "AT+JWT"})
    assert client.get(ME, headers={"Authorization": f"Bearer {other_spelling}"}).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic YTpi"}, {"Authorization": ""}])
def test_without_a_token_the_challenge_names_no_error(
    client: FlaskClient, assert_problem: Callable[..., Any], headers: dict[str, str]
) -> None:
    response = client.get(ME, headers=headers)
    assert_problem(response, 401, "authentication-required")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="redprint"'


def test_a_refresh_token_is_no_bearer_token_a64(
    client: FlaskClient, person: Any, as_bearer: Callable[..., Any], assert_problem: Callable[..., Any]
) -> None:
    tokens = person.tokens()
    assert_problem(client.get(ME, headers=as_bearer(tokens["refresh_token"])), 401, "invalid-token")
    assert_problem(person.refresh(tokens["access_token"]), 401, "invalid-grant")


def test_two_authorization_headers_are_refused_a65(
    client: FlaskClient, forger: Forger, assert_problem: Callable[..., Any]
) -> None:
    good = ("Authorization", f"Bearer {forger.token}")
    for second in (good, ("Authorization", "Basic YTpi"), ("Authorization", "")):
        response = client.get(ME, headers=[good, second])
        assert_problem(response, 400, "invalid-request")
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="redprint", error="invalid_request"'


def test_a_server_hands_on_two_authorization_headers_so_that_they_are_seen_a65(
    app: Flask, person: Any, forger: Forger
) -> None:
    good = f"Bearer {person.tokens()['access_token']}"
    with served(app) as port:
        assert status_of_get(port, ME, good) == 200
        assert status_of_get(port, ME, good, good) == 400
        assert status_of_get(port, ME, good, "Basic YTpi") == 400
        assert status_of_get(port, ME, f"Bearer {forger.edited()}") == 401
        assert status_of_get(port, ME) == 401


def test_a_token_in_the_url_is_refused_a65(
    client: FlaskClient, forger: Forger, as_bearer: Callable[..., Any], assert_problem: Callable[..., Any]
) -> None:
    for headers in ({}, as_bearer(forger.token)):
        response = client.get(f"{ME}?access_token={forger.token}", headers=headers)
        assert_problem(response, 400, "invalid-request")
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="redprint", error="invalid_request"'


def test_a_token_in_a_form_is_no_credential_a65(
    client: FlaskClient, forger: Forger, assert_problem: Callable[..., Any]
) -> None:
    response = client.patch(ME, data={"access_token": forger.token})
    assert_problem(response, 401, "authentication-required")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="redprint"'


def test_the_token_of_a_revoked_session_is_refused_as_any_other_a72(
    person: Any, own_key: SigningKey, revocations: Any, assert_problem: Callable[..., Any]
) -> None:
    genuine = Forger(person.tokens()["access_token"], own_key)
    assert person.me(genuine.token).status_code == 200
    revocations.add([UUID(genuine.claims["sid"])])
    for token in (genuine.token, genuine.sign()):
        response = person.me(token)
        assert_problem(response, 401, "invalid-token")
        assert response.headers["WWW-Authenticate"] == INVALID


@pytest.fixture
def service_token(app: Flask, own_key: SigningKey, clock: Any) -> str:
    issuer = TokenIssuer(StaticSigningKey(own_key), app.extensions["settings"].auth_issuer, 600, clock)
    return issuer.issue("reports", audience="auth", scopes=(), client_id="reports")


def test_a_services_own_token_does_not_act_as_a_user_a42(
    client: FlaskClient, service_token: str, as_bearer: Callable[..., Any]
) -> None:
    assert client.get(ME, headers=as_bearer(service_token)).status_code == 403


def test_a_token_without_a_session_ends_none(
    client: FlaskClient, forger: Forger, as_bearer: Callable[..., Any], assert_problem: Callable[..., Any]
) -> None:
    response = client.post("/api/v1/auth/logout", headers=as_bearer(forger.sign(claims={"sid": None})))
    assert_problem(response, 401, "invalid-token")


@pytest.fixture
def guarded(make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """The service with one more route, which asks for a scope and for auth's own audience."""
    from auth_service.api import v1

    probe = Redprint("probe")

    @probe.get("/scope", access=require("users:read"), status=204)
    def ask_for_scope() -> None:
        """Ask for a scope."""

    @probe.get("/audience", access=require("contacts:read", audience="auth"), status=204)
    def ask_for_audience() -> None:
        """Ask for an audience."""

    @probe.get("/service", access=service_only(), status=204)
    def ask_for_service() -> None:
        """Ask for a service."""

    monkeypatch.setattr(v1, "REDPRINTS", (*v1.REDPRINTS, probe))
    return make_app().test_client()


def test_a_token_without_the_scope_gets_403_naming_it(
    guarded: FlaskClient, forger: Forger, as_bearer: Callable[..., Any], assert_problem: Callable[..., Any]
) -> None:
    response = guarded.get("/api/v1/probe/scope", headers=as_bearer(forger.token))
    assert_problem(response, 403, "insufficient-scope")
    challenge = response.headers["WWW-Authenticate"]
    assert challenge == 'Bearer realm="redprint", error="insufficient_scope", scope="users:read"'
    allowed = forger.sign(claims={"scope": "users:read"})
    assert guarded.get("/api/v1/probe/scope", headers=as_bearer(allowed)).status_code == 204


def test_a_route_for_auths_own_audience_takes_no_other(
    guarded: FlaskClient, forger: Forger, as_bearer: Callable[..., Any], assert_problem: Callable[..., Any]
) -> None:
    response = guarded.get("/api/v1/probe/audience", headers=as_bearer(forger.token))
    assert_problem(response, 401, "invalid-token")
    own = forger.sign(claims={"aud": "auth"})
    assert guarded.get("/api/v1/probe/audience", headers=as_bearer(own)).status_code == 204


def test_a_route_for_services_takes_no_user_a42(
    guarded: FlaskClient,
    forger: Forger,
    service_token: str,
    as_bearer: Callable[..., Any],
    assert_problem: Callable[..., Any],
) -> None:
    response = guarded.get("/api/v1/probe/service", headers=as_bearer(forger.token))
    assert_problem(response, 403, "service-required")
    assert guarded.get("/api/v1/probe/service", headers=as_bearer(service_token)).status_code == 204


def test_every_route_says_who_may_call_it(app: Flask) -> None:
    rules = {
        f"{method} {entry.rule}": "service"
        if entry.access.service_only
        else "user"
        if entry.access.authenticated
        else "public"
        for entry in app.extensions["redprint_routes"]
        for method in entry.methods
    }
    assert {
        rule: access
        for rule, access in rules.items()
        if rule.partition(" ")[2].startswith(("/api", "/oauth", "/.well"))
    } == {
        "POST /api/v1/auth/register": "public",
        "POST /api/v1/auth/login": "public",
        "POST /api/v1/auth/refresh": "public",
        "POST /api/v1/auth/logout": "public",
        "POST /api/v1/auth/logout-all": "user",
        "GET /api/v1/sessions": "user",
        "DELETE /api/v1/sessions/<uuid:session_id>": "user",
        "POST /oauth/revoke": "public",
        "GET /api/v1/users/me": "user",
        "PATCH /api/v1/users/me": "user",
        "GET /api/v1/admin/jobs": "user",
        "GET /api/v1/admin/jobs/<uuid:job_id>": "user",
        "POST /api/v1/admin/jobs/redrive": "user",
        "POST /api/v1/admin/jobs/<uuid:job_id>/redrive": "user",
        "POST /api/v1/admin/jobs/<uuid:job_id>/cancel": "user",
        "GET /.well-known/jwks.json": "public",
        "GET /.well-known/oauth-authorization-server": "public",
        "GET /.well-known/openid-configuration": "public",
    }
