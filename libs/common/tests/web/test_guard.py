from collections.abc import Callable
from typing import Any

import pytest
from common.access import current_principal, public, require, user
from common.metrics import token_verifications
from common.redprint import Redprint
from common.web.guard import optional_principal
from common.web.shapes import Shape, View
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

MakeClient = Callable[..., FlaskClient]
BARE = 'Bearer realm="redprint"'
INVALID = BARE + ', error="invalid_token", error_description="The access token is not valid"'


class Caller(View):
    user: str | None
    session: str | None = None
    audience: str | None = None


class Note(Shape):
    text: str


items = Redprint("items")


def describe_caller() -> Caller:
    caller = current_principal()
    return Caller(user=str(caller.user_id), session=str(caller.session_id), audience=caller.audience)


items.get("/mine", access=user, response=Caller, endpoint="mine")(describe_caller)
items.get("/read", access=require("items:read"), response=Caller, endpoint="read")(describe_caller)
items.get("/both", access=require("items:read", "items:write"), response=Caller, endpoint="both")(describe_caller)
items.get("/admin", access=require("items:read", audience="auth"), response=Caller, endpoint="admin")(describe_caller)


@items.get("/anyone", access=public, response=Caller)
def show_anyone() -> Caller:
    caller = optional_principal()
    return Caller(user=str(caller.user_id) if caller else None)


@items.post("/notes", access=user, body=Note)
def write_note(body: Note) -> None:
    """Write a note."""


@pytest.fixture
def client(make_client: MakeClient) -> FlaskClient:
    return make_client(items)


def ask(client: FlaskClient, path: str, *authorization: str, **options: Any) -> TestResponse:
    headers = [("Authorization", value) for value in authorization]
    return client.get(f"/api/v1/items/{path}", headers=headers, **options)


def refused(answer: TestResponse) -> tuple[int, str, str | None]:
    assert answer.content_type == "application/problem+json"
    assert answer.json["status"] == answer.status_code
    return answer.status_code, answer.json["code"], answer.headers.get("WWW-Authenticate")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_good_token_names_the_caller(client: FlaskClient, tokens: Any, scheme: str) -> None:
    tokens.add("good")
    answer = ask(client, "mine", f"{scheme} good")
    assert answer.json == {"user": str(tokens.user_id), "session": str(tokens.session_id), "audience": "api"}


def test_no_token_is_401_with_a_bare_challenge(client: FlaskClient) -> None:
    assert refused(ask(client, "mine")) == (401, "authentication-required", BARE)


@pytest.mark.parametrize("header", ["Basic Zm9vOmJhcg==", "Token abc", "", "good"])
def test_another_scheme_is_no_token(client: FlaskClient, tokens: Any, header: str) -> None:
    tokens.add("good")
    assert refused(ask(client, "mine", header)) == (401, "authentication-required", BARE)


@pytest.mark.parametrize("token", ["bad", "", " ", "good x", "good\t", "gööd", "rt1.1.a.b.c"])
def test_a_token_that_does_not_verify_is_401_and_says_nothing_more(
    client: FlaskClient, tokens: Any, token: str
) -> None:
    tokens.add("good")
    answer = ask(client, "mine", f"Bearer {token}")
    assert refused(answer) == (401, "invalid-token", INVALID)
    assert "signature" not in answer.text


def test_two_authorization_headers_are_400(client: FlaskClient, tokens: Any) -> None:
    header = tokens.add("good")
    expected = (400, "invalid-request", BARE + ', error="invalid_request"')
    assert refused(ask(client, "mine", header, header)) == expected
    assert refused(ask(client, "mine", "Basic abc", header)) == expected
    assert refused(ask(client, "mine", f"{header},{header}")) == expected


def test_a_token_in_the_query_is_400_even_beside_a_good_header(client: FlaskClient, tokens: Any) -> None:
    header = tokens.add("good")
    expected = (400, "invalid-request", BARE + ', error="invalid_request"')
    assert refused(ask(client, "mine?access_token=good")) == expected
    assert refused(ask(client, "mine?access_token=good", header)) == expected
    assert refused(ask(client, "mine?access%5Ftoken=good", header)) == expected


def test_a_missing_scope_is_403_and_names_what_is_asked(client: FlaskClient, tokens: Any) -> None:
    header = tokens.add("good", "items:read")
    assert ask(client, "read", header).status_code == 200
    expected = BARE + ', error="insufficient_scope", scope="items:read items:write"'
    assert refused(ask(client, "both", header)) == (403, "insufficient-scope", expected)
    assert ask(client, "both", tokens.add("better", "items:read", "items:write")).status_code == 200


def test_a_token_for_another_audience_of_the_service_is_401_where_the_route_asks_for_one(
    client: FlaskClient, tokens: Any
) -> None:
    assert refused(ask(client, "admin", tokens.add("api", "items:read"))) == (401, "invalid-token", INVALID)
    assert ask(client, "admin", tokens.add("auth", "items:read", audience="auth")).status_code == 200
    assert ask(client, "read", tokens.add("auth", "items:read", audience="auth")).status_code == 200


def test_a_services_own_token_is_no_user(client: FlaskClient, tokens: Any) -> None:
    header = tokens.add("service", "items:read", user_id=None)
    assert refused(ask(client, "read", header)) == (403, "user-required", None)


def test_a_public_route_may_look_for_a_caller(client: FlaskClient, tokens: Any) -> None:
    assert ask(client, "anyone").json["user"] is None
    assert ask(client, "anyone", tokens.add("good")).json["user"] == str(tokens.user_id)


def test_a_bad_token_on_such_a_route_is_not_the_same_as_none(client: FlaskClient) -> None:
    assert refused(ask(client, "anyone", "Bearer bad")) == (401, "invalid-token", INVALID)


def test_a_refused_caller_learns_nothing_of_the_body(client: FlaskClient) -> None:
    answer = client.post("/api/v1/items/notes", data=b"not json")
    assert refused(answer)[:2] == (401, "authentication-required")


def test_an_address_or_method_that_is_not_there_needs_no_token(client: FlaskClient) -> None:
    assert refused(ask(client, "nothing")) == (404, "not-found", None)
    assert refused(client.delete("/api/v1/items/mine")) == (405, "method-not-allowed", None)


def test_asking_for_the_options_of_a_route_needs_its_access(client: FlaskClient, tokens: Any) -> None:
    assert client.options("/api/v1/items/mine").status_code == 401
    answer = client.options("/api/v1/items/mine", headers={"Authorization": tokens.add("good")})
    assert answer.status_code == 200
    assert "GET" in answer.headers["Allow"]


def test_a_route_that_came_in_by_the_side_is_refused(
    make_app: Callable[..., Flask], capsys: pytest.CaptureFixture[str]
) -> None:
    app = make_app()
    app.add_url_rule("/side", "side", lambda: "secret")
    answer = app.test_client().get("/side")
    assert refused(answer) == (403, "forbidden", None)
    assert "access_undeclared" in capsys.readouterr().out


def test_without_a_verifier_no_token_is_good(make_client: MakeClient) -> None:
    client = make_client(items, verifier=None)
    assert refused(ask(client, "mine", "Bearer good")) == (401, "invalid-token", INVALID)
    assert refused(ask(client, "mine")) == (401, "authentication-required", BARE)
    assert ask(client, "anyone").status_code == 200


def test_the_log_says_which_check_failed(make_client: MakeClient, capsys: pytest.CaptureFixture[str]) -> None:
    ask(make_client(items, env={"LOG_LEVEL": "info"}), "mine", "Bearer bad")
    assert '"token_refused":"signature"' in capsys.readouterr().out


def test_the_log_names_the_user(make_client: MakeClient, tokens: Any, capsys: pytest.CaptureFixture[str]) -> None:
    ask(make_client(items, env={"LOG_LEVEL": "info"}), "mine", tokens.add("good"))
    assert f'"user_id":"{tokens.user_id}"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "headers", "outcome"),
    [
        ("mine", ["Bearer good"], "valid"),
        ("mine", ["Bearer bad"], "signature"),
        ("mine", [], "missing"),
        ("mine", ["Bearer good", "Bearer good"], "several"),
        ("mine?access_token=x", [], "in_query"),
    ],
)
def test_every_look_at_a_token_is_counted(
    client: FlaskClient, tokens: Any, path: str, headers: list[str], outcome: str
) -> None:
    tokens.add("good")
    counter = token_verifications.labels(outcome)._value
    before = counter.get()
    ask(client, path, *headers)
    assert counter.get() == before + 1
