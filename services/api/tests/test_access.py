"""Who gets in: each route's scopes, and what a request costs the database."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from common.db import Database
from common.ids import new_id
from common.jwt import SigningKey, StaticSigningKey, TokenIssuer
from common.redprint.registry import registered_routes
from common.testing.statements import statements
from common.testing.tokens import TEST_ISSUER, TokenFor
from flask import Flask

User = Any
ID = "00000000-0000-7000-8000-000000000000"

SCOPES = {
    ("GET", "/api/v1/contacts"): {"contacts:read"},
    ("POST", "/api/v1/contacts"): {"contacts:write"},
    ("GET", f"/api/v1/contacts/{ID}"): {"contacts:read"},
    ("PATCH", f"/api/v1/contacts/{ID}"): {"contacts:write"},
    ("DELETE", f"/api/v1/contacts/{ID}"): {"contacts:write"},
    ("POST", f"/api/v1/contacts/{ID}/restore"): {"contacts:write"},
    ("POST", "/api/v1/contacts/imports"): {"contacts:write", "jobs:write"},
    ("POST", "/api/v1/contacts/exports"): {"contacts:read", "jobs:write"},
    ("GET", "/api/v1/jobs"): {"jobs:read"},
    ("GET", f"/api/v1/jobs/{ID}"): {"jobs:read"},
    ("POST", f"/api/v1/jobs/{ID}/cancel"): {"jobs:write"},
    ("GET", f"/api/v1/jobs/{ID}/errors"): {"jobs:read"},
    ("GET", "/api/v1/admin/jobs"): {"jobs:admin"},
    ("GET", f"/api/v1/admin/jobs/{ID}"): {"jobs:admin"},
    ("POST", f"/api/v1/admin/jobs/{ID}/redrive"): {"jobs:admin"},
    ("POST", "/api/v1/admin/jobs/redrive"): {"jobs:admin"},
    ("POST", f"/api/v1/admin/jobs/{ID}/cancel"): {"jobs:admin"},
    ("GET", f"/api/v1/jobs/{ID}/result"): {"jobs:read"},
    ("GET", f"/api/v1/jobs/{ID}/events"): {"jobs:read"},
}
ALL_SCOPES: frozenset[str] = frozenset().union(*SCOPES.values())
on_sqlite = pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)


@on_sqlite
def test_every_route_of_the_api_stands_in_the_table_above(app: Flask) -> None:
    routes = {
        (method, entry.rule.replace("<uuid:contact_id>", ID).replace("<uuid:job_id>", ID)): set(entry.access.scopes)
        for entry in registered_routes(app)
        if entry.rule.startswith("/api/")
        for method in entry.methods
    }
    assert routes == SCOPES
    assert not any(entry.access.service_only for entry in registered_routes(app))


@on_sqlite
@pytest.mark.parametrize("route", SCOPES, ids="-".join)
def test_a_route_takes_no_token_that_lacks_one_of_its_scopes(user: User, route: tuple[str, str]) -> None:
    method, path = route
    for missing in SCOPES[route]:
        response = user.open(method, path, scopes=tuple(ALL_SCOPES - {missing}))
        assert (response.status_code, response.get_json()["code"]) == (403, "insufficient-scope")
    response = user.open(method, path, scopes=tuple(SCOPES[route]))
    assert response.status_code in {200, 202, 404, 415}  # no longer a question of access


@on_sqlite
@pytest.mark.parametrize("route", SCOPES, ids="-".join)
def test_a_route_takes_no_request_without_a_token(app: Flask, route: tuple[str, str]) -> None:
    response = app.test_client().open(route[1], method=route[0])
    assert (response.status_code, response.get_json()["code"]) == (401, "authentication-required")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


@on_sqlite
@pytest.mark.parametrize("route", SCOPES, ids="-".join)
def test_a_route_takes_no_services_own_token_a42(app: Flask, signing_key: SigningKey, route: tuple[str, str]) -> None:
    issuer = TokenIssuer(StaticSigningKey(signing_key), TEST_ISSUER, 600)
    token = issuer.issue("reports", audience="api", scopes=SCOPES[route], client_id="reports")
    response = app.test_client().open(route[1], method=route[0], headers={"Authorization": f"Bearer {token}"})
    assert (response.status_code, response.get_json()["code"]) == (403, "user-required")


@on_sqlite
def test_a_token_for_another_audience_or_of_another_issuer_is_refused(app: Flask, token_for: TokenFor) -> None:
    for token in (token_for(new_id(), audience="auth"), token_for(new_id(), issuer="https://elsewhere.test")):
        response = app.test_client().get("/api/v1/contacts", headers={"Authorization": f"Bearer {token}"})
        assert (response.status_code, response.get_json()["code"]) == (401, "invalid-token")


@pytest.fixture
def warm(app: Flask, database: Database) -> Database:
    """The database, with the application's pool filled: connecting takes statements too."""
    app.extensions["database"].warm()
    return database


def kinds_of(database: Database, request: Callable[[], Any], status: int) -> dict[str, int]:
    """What the server was sent for a request, by its own counters."""
    with statements(database) as counted:
        assert request().status_code == status
    assert counted.total == sum(counted.kinds.values())
    return dict(counted.kinds)


only_on_mysql = pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)


@only_on_mysql
def test_a_read_is_one_statement(user: User, warm: Database) -> None:
    place = user.post("/api/v1/contacts", json={"name": "Ada"}).headers["Location"]
    job = user.post("/api/v1/contacts/imports", data={"file": (io.BytesIO(b"name\n"), "x")}).headers["Location"]
    for path in (place, "/api/v1/contacts", "/api/v1/contacts?limit=100", job, "/api/v1/jobs"):
        assert kinds_of(warm, lambda path=path: user.get(path), 200) == {"select": 1}
    assert kinds_of(warm, lambda: user.get(f"/api/v1/contacts/{new_id()}"), 404) == {"select": 1}


@only_on_mysql
def test_a_write_is_begin_what_it_does_and_commit(user: User, warm: Database) -> None:
    create = kinds_of(warm, lambda: user.post("/api/v1/contacts", json={"name": "Ada"}), 201)
    assert create == {"begin": 1, "insert": 1, "commit": 1}
    place = user.post("/api/v1/contacts", json={"name": "Ada"}).headers["Location"]
    change = {"begin": 1, "select": 1, "update": 1, "commit": 1}
    assert kinds_of(warm, lambda: user.patch(place, json={"notes": "n"}), 200) == change
    assert kinds_of(warm, lambda: user.delete(place), 204) == change
    assert kinds_of(warm, lambda: user.post(f"{place}/restore"), 200) == change


@only_on_mysql
def test_a_refused_request_costs_the_database_nothing(
    app: Flask, user: User, warm: Database, token_for: TokenFor
) -> None:
    client = app.test_client()
    other = token_for(user.id, audience="auth")
    for header in ({}, {"Authorization": "Bearer x.y.z"}, {"Authorization": f"Bearer {other}"}):
        assert kinds_of(warm, lambda header=header: client.get("/api/v1/contacts", headers=header), 401) == {}
    assert kinds_of(warm, lambda: user.get("/api/v1/contacts", scopes=("jobs:read",)), 403) == {}
    assert kinds_of(warm, lambda: user.post("/api/v1/contacts", json={"name": 1}), 422) == {}
    upload = {"file": (io.BytesIO(b"\xff\xfe"), "x")}
    assert kinds_of(warm, lambda: user.post("/api/v1/contacts/imports", data=upload), 422) == {}


@only_on_mysql
def test_a_change_that_is_refused_is_rolled_back(user: User, warm: Database) -> None:
    place = user.post("/api/v1/contacts", json={"name": "Ada"}).headers["Location"]
    stale = kinds_of(warm, lambda: user.patch(place, json={"notes": "n"}, headers={"If-Match": '"7"'}), 412)
    assert stale == {"begin": 1, "select": 1, "rollback": 1}
