"""What operators see and do with everybody's jobs. No role holds the scope yet, so the tokens are signed here."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from common.db import Database
from common.ids import new_id
from common.testing.revocations import RevocationsByHand
from common.testing.statements import statements
from flask import Flask
from jobs import transitions
from jobs.models import JobEffect
from jobs.states import EffectState, JobState
from jobs.testing import StoreHarness
from jobs.use_cases import operating
from structlog.testing import CapturedCall, CapturingLogger

User = Any
PATH = "/api/v1/admin/jobs"
ID = "00000000-0000-7000-8000-000000000000"
ERROR = {"code": "handler-error", "message": "It broke."}
UNKNOWN = {"code": "unknown-outcome", "message": "Nobody knows."}
only_on_mysql = pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)


@pytest.fixture
def store(database: Database) -> StoreHarness:
    return StoreHarness(database)


@pytest.fixture
def operator(user: User) -> Iterator[Callable[..., Any]]:
    """Asks as somebody who may."""
    return partial(user.open, scopes=("jobs:admin",))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> CapturingLogger:
    """What operating jobs logs."""
    log = CapturingLogger()
    monkeypatch.setattr(operating, "log", log)
    return log


def dead(store: StoreHarness, error: Any = ERROR, end: Any = transitions.die, **options: Any) -> Any:
    store.owner_id = new_id()
    lease = store.start(**options)
    assert store.transition(end, lease, error)
    return lease.job_id


def test_jobs_of_all_owners_are_listed_page_by_page(operator: Any, store: StoreHarness) -> None:
    ids = [str(dead(store)) for _ in range(3)]
    first = operator("GET", f"{PATH}?limit=2").get_json()
    second = operator("GET", f"{PATH}?limit=2&cursor={first['next_cursor']}").get_json()
    assert [item["id"] for item in first["items"] + second["items"]] == ids[::-1]
    assert second["next_cursor"] is None
    assert first["items"][0]["owner_id"] == str(store.owner_id)
    assert first["items"][0]["error"] == ERROR


def test_jobs_are_found_by_state_kind_and_owner(operator: Any, store: StoreHarness) -> None:
    letters, numbers = dead(store, kind="letters"), dead(store)
    store.enqueue()
    for query, expected in {
        "state=dead": [numbers, letters],
        "state=dead&limit=1": [numbers],
        "state=dead&kind=letters": [letters],
        "kind=letters": [letters],
        f"state=dead&owner={store.owner_id}": [numbers],
        f"owner={new_id()}": [],
        "state=failed": [],
    }.items():
        answer = operator("GET", f"{PATH}?{query}")
        assert answer.status_code == 200
        assert [item["id"] for item in answer.get_json()["items"]] == [str(each) for each in expected], query


def test_a_page_of_one_state_goes_on_by_the_end(operator: Any, store: StoreHarness) -> None:
    ids = [str(dead(store)) for _ in range(3)]
    found, cursor = [], ""
    while cursor is not None:
        page = operator("GET", f"{PATH}?state=dead&limit=1{cursor}").get_json()
        found += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert found == ids[::-1]


@pytest.mark.parametrize("query", ["state=broken", "limit=0", "limit=101", "owner=me", "cursor=x", "kind=", "tenant=1"])
def test_a_query_that_makes_no_sense_is_refused(operator: Any, query: str) -> None:
    answer = operator("GET", f"{PATH}?{query}")
    assert (answer.status_code, answer.get_json()["code"]) == (422, "validation-failed")


def test_a_job_is_shown_with_its_attempts_and_effects_and_no_payload(operator: Any, store: StoreHarness) -> None:
    job_id = dead(store, UNKNOWN, transitions.fail)
    with store.database.write() as session:
        moment = store.job(job_id).created_at
        session.add(JobEffect(job_id=job_id, step="send", state=EffectState.INTENT, intended_at=moment))
        session.commit()
    shown = operator("GET", f"{PATH}/{job_id}").get_json()
    assert [(each["attempt"], each["outcome"]) for each in shown["attempts"]] == [(1, "failed")]
    assert [(each["state"], each["key"]) for each in shown["effects"]] == [("intent", f"{job_id}:send")]
    assert not shown.keys() & {"payload", "checkpoint", "result", "idempotency_key"}
    assert operator("GET", f"{PATH}/{new_id()}").status_code == 404


def test_a_dead_job_is_queued_again_and_says_by_whom(
    operator: Any, user: User, store: StoreHarness, log: CapturingLogger
) -> None:
    job_id = dead(store)
    answer = operator("POST", f"{PATH}/{job_id}/redrive")
    assert (answer.status_code, answer.get_json()["state"]) == (202, "queued")
    assert answer.get_json()["redriven_by"] == str(user.id)
    assert log.calls == [
        CapturedCall("info", ("job_redriven",), {"job_id": str(job_id), "by": str(user.id), "open_effects": "refuse"})
    ]
    again = operator("POST", f"{PATH}/{job_id}/redrive")
    assert (again.status_code, again.get_json()["code"]) == (409, "job-not-redrivable")
    assert operator("POST", f"{PATH}/{new_id()}/redrive").status_code == 404


@pytest.mark.parametrize("open_effects", ["repeat", "done"])
def test_a_job_with_an_unknown_outcome_needs_an_answer(operator: Any, store: StoreHarness, open_effects: str) -> None:
    job_id = dead(store, UNKNOWN, transitions.fail)
    refused = operator("POST", f"{PATH}/{job_id}/redrive", json={})
    assert (refused.status_code, refused.get_json()["code"]) == (409, "outcome-still-unknown")
    assert store.job(job_id).state is JobState.FAILED
    assert operator("POST", f"{PATH}/{job_id}/redrive", json={"open_effects": open_effects}).status_code == 202
    assert store.job(job_id).state is JobState.QUEUED


def test_many_are_queued_again_a_few_a_second(operator: Any, user: User, store: StoreHarness) -> None:
    ids = [dead(store) for _ in range(3)]
    other = dead(store, kind="letters")
    body = {"kind": "numbers", "state": "dead", "limit": 2, "per_second": 0.1}
    assert operator("POST", f"{PATH}/redrive", json=body).get_json() == {"redriven": 2}
    assert [store.job(each).state for each in (*ids, other)] == ["queued", "queued", "dead", "dead"]
    gap = store.job(ids[1]).run_after - store.job(ids[0]).run_after
    assert 9 < gap.total_seconds() < 60
    assert store.job(ids[0]).redriven_by == str(user.id)
    assert operator("POST", f"{PATH}/redrive", json={}).get_json() == {"redriven": 2}
    assert operator("POST", f"{PATH}/redrive", json={"error_code": "handler-error"}).get_json() == {"redriven": 0}


@pytest.mark.parametrize(
    "body", [{"state": "queued"}, {"limit": 0}, {"limit": 1001}, {"per_second": 0}, {"kind": ""}, {"all": True}]
)
def test_many_of_what_makes_no_sense_are_refused(operator: Any, body: dict[str, Any]) -> None:
    assert operator("POST", f"{PATH}/redrive", json=body).status_code == 422


def test_anybodys_job_is_cancelled(operator: Any, user: User, store: StoreHarness, log: CapturingLogger) -> None:
    queued, running, ended = store.enqueue(), store.start().job_id, dead(store)
    answers = [operator("POST", f"{PATH}/{job_id}/cancel") for job_id in (queued, running, ended)]
    assert [answer.status_code for answer in answers] == [202] * 3
    assert [answer.get_json()["state"] for answer in answers] == ["cancelled", "running", "dead"]
    assert store.job(running).cancel_requested_at is not None
    assert {store.job(job_id).cancel_requested_by for job_id in (queued, running)} == {str(user.id)}
    assert [(call.args, call.kwargs) for call in log.calls] == [
        (("job_cancelled",), {"job_id": str(job_id), "by": str(user.id)}) for job_id in (queued, running)
    ]


ROUTES = [
    ("GET", PATH),
    ("GET", f"{PATH}/{ID}"),
    ("POST", f"{PATH}/{ID}/redrive"),
    ("POST", f"{PATH}/redrive"),
    ("POST", f"{PATH}/{ID}/cancel"),
]


@pytest.mark.parametrize("route", ROUTES, ids="-".join)
@pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)
def test_nobody_else_gets_in_and_nobody_while_logouts_are_not_heard_of(
    app: Flask, user: User, operator: Any, revocations: RevocationsByHand, route: tuple[str, str]
) -> None:
    own = user.open(*route, scopes=("jobs:read", "jobs:write", "contacts:read"))
    assert (own.status_code, own.get_json()["code"]) == (403, "insufficient-scope")
    assert app.test_client().open(route[1], method=route[0]).status_code == 401
    revocations.fresh = False
    answer = operator(*route)
    assert (answer.status_code, answer.get_json()["code"]) == (503, "unavailable")


@only_on_mysql
def test_statements_are_as_few_as_they_can_be(app: Flask, operator: Any, store: StoreHarness) -> None:
    job_id, other = dead(store), dead(store)
    app.extensions["database"].warm()
    change = {"begin": 1, "select": 2, "update": 1, "commit": 1}
    for request, expected in {
        ("GET", PATH): {"select": 1},
        ("GET", f"{PATH}?state=dead"): {"select": 1},
        ("GET", f"{PATH}?kind=numbers"): {"select": 3},
        ("GET", f"{PATH}/{job_id}"): {"select": 3},
        ("POST", f"{PATH}/{job_id}/redrive"): change,
        ("POST", f"{PATH}/{job_id}/cancel"): change,
    }.items():
        with statements(store.database) as counted:
            assert operator(*request).status_code < 300
        assert dict(counted.kinds) == expected, request
    # The time, the end of what is looked at, what is found there, and its rows.
    with statements(store.database) as counted:
        assert operator("POST", f"{PATH}/redrive", json={}).get_json() == {"redriven": 1}
    assert store.job(other).state is JobState.QUEUED
    assert dict(counted.kinds) == {"select": 4, "begin": 1, "update": 1, "commit": 1}
