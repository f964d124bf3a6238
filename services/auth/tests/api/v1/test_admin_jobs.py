"""Auth's own jobs for operators; how the routes work is tested in api, here that they do so with auth's database."""

from collections.abc import Callable
from typing import Any

import pytest
from auth_service.scopes import AUDIENCES, grant_scopes
from common.db import Database
from common.ids import new_id
from common.jwt import SigningKey, StaticSigningKey, TokenIssuer
from common.redprint.registry import registered_routes
from common.testing.revocations import RevocationsByHand
from common.testing.tokens import TEST_ISSUER
from flask import Flask
from flask.testing import FlaskClient
from jobs import transitions
from jobs.states import JobState
from jobs.testing import StoreHarness

PATH = "/api/v1/admin/jobs"
ERROR = {"code": "handler-error", "message": "It broke."}

Ask = Callable[..., Any]


@pytest.fixture
def store(owner: Database) -> StoreHarness:
    return StoreHarness(owner)


@pytest.fixture
def ask(client: FlaskClient, own_key: SigningKey, clock: Callable[[], Any], as_bearer: Callable[..., Any]) -> Ask:
    """Asks with a token nobody can log in for yet."""

    def ask(method: str, path: str, audience: str = "auth", scope: str = "jobs:admin", **options: Any) -> Any:
        token = TokenIssuer(StaticSigningKey(own_key), TEST_ISSUER, 600, clock).issue(
            new_id(),
            audience=audience,
            scopes=[scope],
            client_id="redprint",
            session_id=new_id(),
            auth_time=clock(),
        )
        return client.open(path, method=method, headers=as_bearer(token), **options)

    return ask


def dead(store: StoreHarness) -> Any:
    lease = store.start()
    assert store.transition(transitions.die, lease, ERROR)
    return lease.job_id


def test_an_operator_lists_shows_redrives_and_cancels_auths_jobs(ask: Ask, store: StoreHarness) -> None:
    first, second = dead(store), dead(store)
    listed = ask("GET", f"{PATH}?state=dead").get_json()
    assert [item["id"] for item in listed["items"]] == [str(second), str(first)]
    assert ask("GET", f"{PATH}/{first}").get_json()["attempts"][0]["outcome"] == "dead"
    assert ask("POST", f"{PATH}/{first}/redrive").status_code == 202
    assert ask("POST", f"{PATH}/redrive", json={}).get_json() == {"redriven": 1}
    assert ask("POST", f"{PATH}/{second}/cancel").get_json()["state"] == "cancelled"
    assert store.job(first).state is JobState.QUEUED


def test_refusals_are_problems(ask: Ask, store: StoreHarness, assert_problem: Callable[..., Any]) -> None:
    assert_problem(ask("GET", f"{PATH}/{new_id()}"), 404, "job-not-found")
    assert_problem(ask("POST", f"{PATH}/{store.enqueue()}/redrive"), 409, "job-not-redrivable")


def test_only_tokens_for_auth_with_the_scope_get_in_and_only_while_logouts_are_known(
    app: Flask, ask: Ask, revocations: RevocationsByHand, assert_problem: Callable[..., Any]
) -> None:
    routes = [entry for entry in registered_routes(app) if entry.rule.startswith(PATH)]
    assert len(routes) == 5
    assert {(entry.access.audience, entry.access.revocation) for entry in routes} == {("auth", "strict")}
    assert {scope for entry in routes for scope in entry.access.scopes} == {"jobs:admin"}
    assert_problem(ask("GET", PATH, audience="api"), 401, "invalid-token")
    assert_problem(ask("GET", PATH, scope="jobs:read"), 403, "insufficient-scope")
    assert ask("GET", PATH).status_code == 200
    revocations.fresh = False
    assert_problem(ask("GET", PATH), 503, "unavailable")


def test_no_login_gives_the_scope_yet() -> None:
    assert all("jobs:admin" not in grant_scopes(audience) for audience in AUDIENCES)
