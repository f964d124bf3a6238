"""Tokens of ended sessions, and the routes that have to know of them."""

from base64 import urlsafe_b64decode
from json import loads
from typing import Any
from uuid import UUID

import pytest
from common.ids import new_id
from common.metrics import token_verifications
from common.redprint.registry import registered_routes
from common.testing.revocations import RevocationsByHand
from common.testing.tokens import TokenFor
from flask import Flask
from werkzeug.test import TestResponse

ADMIN = "/api/v1/admin/jobs"
STRICT = {
    ("DELETE", "/api/v1/contacts/<uuid:contact_id>"),
    ("GET", ADMIN),
    ("GET", f"{ADMIN}/<uuid:job_id>"),
    ("POST", f"{ADMIN}/redrive"),
    ("POST", f"{ADMIN}/<uuid:job_id>/redrive"),
    ("POST", f"{ADMIN}/<uuid:job_id>/cancel"),
}
pytestmark = pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)


def sid_of(token: str) -> UUID:
    payload = token.split(".")[1]
    return UUID(loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sid"])


def ask(app: Flask, token: str, method: str = "GET", path: str = "/api/v1/contacts", **options: Any) -> TestResponse:
    return app.test_client().open(path, method=method, headers={"Authorization": f"Bearer {token}"}, **options)


def test_a72_a_token_whose_session_ended_is_refused_also_one_that_was_just_accepted(
    app: Flask, token_for: TokenFor, revocations: RevocationsByHand
) -> None:
    user_id = new_id()
    token, other = token_for(user_id), token_for(user_id)
    assert ask(app, token).status_code == 200
    count = token_verifications.labels("revoked")._value
    before = count.get()
    revocations.add([sid_of(token)])
    response = ask(app, token)
    assert (response.status_code, response.get_json()["code"]) == (401, "invalid-token")
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
    assert count.get() == before + 1
    assert ask(app, other).status_code == 200


def test_what_cannot_be_undone_and_what_operators_do_is_strict(app: Flask) -> None:
    strict = {
        (method, entry.rule)
        for entry in registered_routes(app)
        for method in entry.methods
        if entry.access.revocation == "strict"
    }
    assert strict == STRICT


def test_only_strict_routes_stop_while_revocations_are_not_known(
    app: Flask, token_for: TokenFor, revocations: RevocationsByHand
) -> None:
    token = token_for(new_id())
    place = ask(app, token, "POST", json={"name": "Ada"}).headers["Location"]
    revocations.fresh = False
    refused = ask(app, token, "DELETE", place)
    assert (refused.status_code, refused.get_json()["code"]) == (503, "unavailable")
    assert refused.headers["Retry-After"] == "5"
    assert "WWW-Authenticate" not in refused.headers
    assert ask(app, token, path=place).status_code == 200
    assert ask(app, token, "PATCH", place, json={"notes": "n"}).status_code == 200
    revocations.fresh = True
    assert ask(app, token, "DELETE", place).status_code == 204


def test_a_revoked_token_is_refused_before_that_is_asked(
    app: Flask, token_for: TokenFor, revocations: RevocationsByHand
) -> None:
    token = token_for(new_id())
    revocations.add([sid_of(token)])
    revocations.fresh = False
    assert ask(app, token, "DELETE", f"/api/v1/contacts/{new_id()}").status_code == 401
