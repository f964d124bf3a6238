"""Routes for services alone, and tokens of services anywhere else, with the verifier of production."""

from collections.abc import Callable

import pytest
from common.access import authenticated, current_principal, current_service, public, require, service_only, user
from common.ids import new_id
from common.jwt import SigningKey, StaticKeys, StaticSigningKey, TokenIssuer, TokenVerifier
from common.redprint import Redprint
from common.redprint.registry import registered_routes
from common.testing.revocations import RevocationsByHand
from common.testing.tokens import TEST_ISSUER, TokenFor
from common.web.guard import optional_principal
from common.web.shapes import View
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

AUDIENCES = frozenset({"api", "auth"})


class Caller(View):
    name: str
    scopes: list[str]
    audience: str


items = Redprint("items")


def describe_service() -> Caller:
    service = current_service()
    return Caller(name=service.client_id, scopes=sorted(service.scopes), audience=service.audience)


items.get("/any", access=service_only(), response=Caller, endpoint="any")(describe_service)
items.get("/send", access=service_only("mail:send"), response=Caller, endpoint="send")(describe_service)
items.get("/own", access=service_only(audience="auth"), response=Caller, endpoint="own")(describe_service)


def describe_user() -> Caller:
    caller = current_principal()
    return Caller(name=str(caller.user_id), scopes=sorted(caller.scopes), audience=caller.audience)


items.get("/user", access=user, response=Caller, endpoint="user")(describe_user)
items.get("/read", access=require("items:read"), response=Caller, endpoint="read")(describe_user)
items.get("/strict", access=authenticated(revocation="strict"), response=Caller, endpoint="strict")(describe_user)
items.get("/confused", access=service_only(), response=Caller, endpoint="confused")(describe_user)
items.get("/mistaken", access=user, response=Caller, endpoint="mistaken")(describe_service)


@items.get("/anyone", access=public)
def show_anyone() -> None:
    """Look whether a user calls."""
    optional_principal()


@pytest.fixture
def app(make_app: Callable[..., Flask], signing_key: SigningKey) -> Flask:
    verifier = TokenVerifier(StaticKeys([signing_key.verifying_key]), TEST_ISSUER, AUDIENCES)
    return make_app(items, verifier=verifier, revocations=RevocationsByHand(), env={"LOG_LEVEL": "info"})


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def service_token(signing_key: SigningKey) -> Callable[..., str]:
    def sign(*scopes: str, audience: str = "api") -> str:
        issuer = TokenIssuer(StaticSigningKey(signing_key), TEST_ISSUER, 600)
        return issuer.issue("billing", audience=audience, scopes=scopes, client_id="billing")

    return sign


def ask(client: FlaskClient, path: str, token: str, method: str = "GET") -> TestResponse:
    return client.open(f"/api/v1/items/{path}", method=method, headers={"Authorization": f"Bearer {token}"})


def refused(answer: TestResponse) -> tuple[int, str, str | None]:
    assert answer.content_type == "application/problem+json"
    return answer.status_code, answer.json["code"], answer.headers.get("WWW-Authenticate")


@pytest.mark.parametrize("path", ["user", "read", "strict", "anyone", "mistaken"])
def test_a_services_token_is_no_users_whatever_it_may_a42(
    client: FlaskClient, service_token: Callable[..., str], path: str
) -> None:
    assert refused(ask(client, path, service_token("items:read"))) == (403, "user-required", None)


@pytest.mark.parametrize("path", ["any", "send", "own"])
@pytest.mark.parametrize("audience", sorted(AUDIENCES))
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_users_token_is_no_services_whatever_it_may_a42(
    client: FlaskClient, token_for: TokenFor, path: str, audience: str, method: str
) -> None:
    answer = ask(client, path, token_for(new_id(), scopes=["mail:send"], audience=audience), method)
    assert answer.status_code == 403
    assert "WWW-Authenticate" not in answer.headers
    assert method == "HEAD" or answer.json["code"] == "service-required"


def test_a_user_named_like_a_client_is_none_a42(client: FlaskClient, signing_key: SigningKey) -> None:
    """With a session a token is a user's, or nobody's."""
    issuer = TokenIssuer(StaticSigningKey(signing_key), TEST_ISSUER, 600)
    token = issuer.issue("billing", audience="api", scopes=(), client_id="billing", session_id=new_id())
    for path in ("any", "user"):
        assert refused(ask(client, path, token))[:2] == (401, "invalid-token")


def test_the_handler_learns_which_service_calls(client: FlaskClient, service_token: Callable[..., str]) -> None:
    for path in ("any", "send"):
        answer = ask(client, path, service_token("mail:send"))
        assert answer.json == {"name": "billing", "scopes": ["mail:send"], "audience": "api"}


def test_a_service_needs_the_scopes_and_the_audience_too(
    client: FlaskClient, service_token: Callable[..., str]
) -> None:
    status, code, challenge = refused(ask(client, "send", service_token("mail:read")))
    assert (status, code) == (403, "insufficient-scope")
    assert challenge is not None
    assert 'scope="mail:send"' in challenge
    assert refused(ask(client, "own", service_token()))[:2] == (401, "invalid-token")
    assert ask(client, "own", service_token(audience="auth")).status_code == 200


def test_without_a_good_token_it_is_a_route_like_any_other(
    client: FlaskClient, service_token: Callable[..., str]
) -> None:
    assert refused(client.get("/api/v1/items/any")) == (
        401,
        "authentication-required",
        'Bearer realm="redprint"',
    )
    assert refused(ask(client, "any", service_token(audience="worker")))[:2] == (401, "invalid-token")


@pytest.mark.parametrize("path", ["confused", "mistaken"])
def test_the_other_kind_of_caller_is_not_there(
    client: FlaskClient, service_token: Callable[..., str], token_for: TokenFor, path: str
) -> None:
    token = service_token() if path == "confused" else token_for(new_id())
    assert ask(client, path, token).status_code == 500


def test_without_news_of_revocations_services_go_on(
    make_client: Callable[..., FlaskClient], signing_key: SigningKey, service_token: Callable[..., str]
) -> None:
    """Their tokens belong to no session."""
    verifier = TokenVerifier(StaticKeys([signing_key.verifying_key]), TEST_ISSUER, AUDIENCES)
    assert ask(make_client(items, verifier=verifier), "any", service_token()).status_code == 200


def test_the_log_names_the_service(
    client: FlaskClient, service_token: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    ask(client, "any", service_token())
    assert '"client_id":"billing"' in capsys.readouterr().out


def test_the_registry_tells_such_routes_from_others(app: Flask) -> None:
    own = {entry.rule for entry in registered_routes(app) if entry.access.service_only}
    assert own == {f"/api/v1/items/{path}" for path in ("any", "send", "own", "confused")}
