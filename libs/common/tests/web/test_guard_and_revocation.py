"""Tokens of ended sessions, and routes that have to know which sessions ended."""

from collections.abc import Callable
from typing import Any

import pytest
from common.access import authenticated, public, require
from common.ids import new_id
from common.jwt import Claims, TokenRevoked
from common.redprint import Redprint
from common.testing.revocations import RevocationsByHand
from common.web.guard import optional_principal
from common.web.shapes import View
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

items = Redprint("items")


class Caller(View):
    session: str | None


@items.get("/bounded", access=require("items:read"))
def show_bounded() -> None:
    """Go on whatever is known."""


@items.get("/strict", access=require("items:read", revocation="strict"))
def show_strict() -> None:
    """Ask that it be known."""


@items.get("/mine", access=authenticated(revocation="strict"))
def show_mine() -> None:
    """Ask that it be known, of any user."""


@items.get("/ended", access=public, response=Caller)
def show_ended() -> Caller:
    """Take a token of a session that has ended, too."""
    caller = optional_principal(revoked_too=True)
    return Caller(session=str(caller.session_id) if caller else None)


@items.get("/anyone", access=public, response=Caller)
def show_anyone() -> Caller:
    """Take a good token, or none."""
    caller = optional_principal()
    return Caller(session=str(caller.session_id) if caller else None)


class RevocableTokens:
    """A verifier in front of another, as `TokenVerifier` treats the sessions that ended."""

    def __init__(self, tokens: Any, revocations: RevocationsByHand) -> None:
        self._tokens = tokens
        self._revocations = revocations

    def verify(self, token: str) -> Claims:
        claims: Claims = self._tokens.verify(token)
        if claims.sid is not None and self._revocations.is_revoked(claims.sid):
            raise TokenRevoked(claims)
        return claims


@pytest.fixture
def revocations() -> RevocationsByHand:
    return RevocationsByHand()


@pytest.fixture
def client(make_client: Callable[..., FlaskClient], tokens: Any, revocations: RevocationsByHand) -> FlaskClient:
    return make_client(items, verifier=RevocableTokens(tokens, revocations), revocations=revocations)


def ask(client: FlaskClient, path: str, header: str) -> TestResponse:
    return client.get(f"/api/v1/items/{path}", headers={"Authorization": header})


def test_a_strict_route_answers_like_any_other_while_it_is_known(client: FlaskClient, tokens: Any) -> None:
    header = tokens.add("good", "items:read")
    for path in ("bounded", "strict", "mine"):
        assert ask(client, path, header).status_code == 204


@pytest.mark.parametrize("path", ["strict", "mine"])
def test_it_answers_503_while_it_is_not_and_challenges_nobody(
    client: FlaskClient, tokens: Any, revocations: RevocationsByHand, path: str
) -> None:
    header = tokens.add("good", "items:read")
    revocations.fresh = False
    answer = ask(client, path, header)
    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")
    assert answer.content_type == "application/problem+json"
    assert answer.headers["Retry-After"] == "5"
    assert "WWW-Authenticate" not in answer.headers
    assert ask(client, "bounded", header).status_code == 204


def test_without_anybody_to_ask_no_strict_route_answers(make_client: Callable[..., FlaskClient], tokens: Any) -> None:
    client = make_client(items)
    header = tokens.add("good", "items:read")
    assert ask(client, "strict", header).status_code == 503
    assert ask(client, "bounded", header).status_code == 204


def test_a_token_is_looked_at_before_and_its_scopes_after(
    client: FlaskClient, tokens: Any, revocations: RevocationsByHand
) -> None:
    revocations.fresh = False
    assert ask(client, "strict", "Bearer bad").status_code == 401
    assert ask(client, "strict", "").status_code == 401
    assert ask(client, "strict", tokens.add("service", user_id=None)).status_code == 403
    without_scope = tokens.add("without-scope")
    assert ask(client, "strict", without_scope).status_code == 503
    revocations.fresh = True
    assert ask(client, "strict", without_scope).status_code == 403


def test_the_log_says_why(
    make_client: Callable[..., FlaskClient], tokens: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    client = make_client(items, env={"LOG_LEVEL": "info"})
    ask(client, "strict", tokens.add("good", "items:read"))
    assert '"revocation_unknown":true' in capsys.readouterr().out


def test_a_token_of_an_ended_session_is_401_and_no_reason_is_given(
    client: FlaskClient, tokens: Any, revocations: RevocationsByHand
) -> None:
    header = tokens.add("good", "items:read")
    revocations.add([tokens.session_id])
    answer = ask(client, "bounded", header)
    assert (answer.status_code, answer.json["code"]) == (401, "invalid-token")
    assert "revoked" not in answer.text
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_a_service_token_has_no_session_that_could_end(
    client: FlaskClient, tokens: Any, revocations: RevocationsByHand
) -> None:
    revocations.add([new_id()])
    assert ask(client, "bounded", tokens.add("service", "items:read", user_id=None)).json["code"] == "user-required"


def test_who_ends_a_session_once_more_may_say_so_with_its_token(
    client: FlaskClient, tokens: Any, revocations: RevocationsByHand
) -> None:
    header = tokens.add("good")
    revocations.add([tokens.session_id])
    revocations.fresh = False
    assert ask(client, "ended", header).json["session"] == str(tokens.session_id)
    assert ask(client, "anyone", header).status_code == 401
    assert ask(client, "ended", "Bearer bad").status_code == 401
