"""Sessions under contention, in real time: no false alarm, no missed one, and no deadlock that a client would see."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier, Event
from typing import Any
from uuid import UUID

import pytest
from auth_service.client import Client
from auth_service.models import Session, User
from auth_service.use_cases.locks import share_user
from auth_service.use_cases.tokens import TokenPair, open_session
from common.clock import Clock, utc_now
from common.db import WriteSession, run_write
from common.db import retry as retry_module
from flask import Flask
from sqlalchemy import func, select

pytestmark = [pytest.mark.drill, pytest.mark.slow]

ROUNDS = 30
THREADS = 8
REFRESHERS = 6
ENDERS = 2
SECONDS = 10


@pytest.fixture
def clock() -> Clock:
    """The real one, for the applications of these tests."""
    return utc_now


@pytest.fixture
def conflicts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Deadlocks, lock timeouts and busy files the database answered with, those too that a second try got over."""
    seen: list[str] = []
    original = retry_module.is_conflict

    def note(error: BaseException) -> bool:
        if (is_conflict := original(error)) is True:
            seen.append(str(getattr(error, "orig", error)))
        return is_conflict

    monkeypatch.setattr(retry_module, "is_conflict", note)
    return seen


@pytest.fixture
def say(capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Prints a figure, whatever pytest captures."""

    def write(line: str) -> None:
        with capfd.disabled():
            print(f"\n{line}", end="")  # noqa: T201 - the figures are what the drill is for

    return write


def test_a_token_presented_by_eight_at_once_has_one_successor_and_raises_no_alarm(
    app: Flask,
    person: Any,
    make_person: Callable[..., Any],
    database_backend: str,
    *,
    audit_trail: Callable[..., Any],
    say: Callable[[str], None],
) -> None:
    first = token = person.tokens()["refresh_token"]
    barrier = Barrier(THREADS)

    def present(token: str) -> tuple[int, str | None]:
        client = make_person(app.test_client())
        barrier.wait(30)
        response = client.refresh(token)
        return response.status_code, response.get_json().get("refresh_token")

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(ROUNDS):
            answers = set(pool.map(present, [token] * THREADS))
            [(status, successor)] = answers
            assert status == 200
            assert successor not in {None, token}
            token = str(successor)
    retries = len(audit_trail("refresh_retry"))
    assert retries == ROUNDS * (THREADS - 1)
    assert audit_trail("authn_token_reuse", "session_logout") == []

    access_token = person.refresh(token).get_json()["access_token"]
    assert person.me(access_token).status_code == 200
    replayed_at = time.perf_counter()
    assert person.refresh(first).status_code == 401
    assert person.me(access_token).status_code == 401
    refused_after_ms = (time.perf_counter() - replayed_at) * 1000
    assert person.refresh(token).status_code == 401
    assert len(audit_trail("authn_token_reuse")) == 1
    say(
        f"reuse drill on {database_backend}: {ROUNDS} rounds x {THREADS} threads, one successor each, "
        f"{retries} retries, 0 false alarms; a replay ended the session, its access token refused"
        f" {refused_after_ms:.0f} ms after the replay was sent"
    )


def test_whoever_logs_out_everywhere_meets_no_refresher_and_leaves_no_session(
    app: Flask,
    person: Any,
    make_person: Callable[..., Any],
    as_bearer: Callable[..., Any],
    database_backend: str,
    *,
    conflicts: list[str],
    say: Callable[[str], None],
) -> None:
    person.register()
    deps, stop = app.extensions["auth_dependencies"], Event()
    with deps.database.read() as session:
        user_id = session.scalars(select(User.id)).one()

    def log_in() -> TokenPair:
        """A login without its password, whose hash would take all the time there is."""
        return run_write(deps.database, partial(_open, deps, user_id))

    def refresh(_: int) -> tuple[Counter[int], str]:
        client, statuses, token = make_person(app.test_client()), Counter[int](), log_in().refresh_token
        while not stop.is_set():
            response = client.refresh(token)
            statuses[response.status_code] += 1
            token = response.get_json()["refresh_token"] if response.status_code == 200 else log_in().refresh_token
        return statuses, token

    def log_out_everywhere(_: int) -> Counter[int]:
        client, statuses = app.test_client(), Counter[int]()
        while not stop.is_set():
            headers = as_bearer(log_in().access_token)
            statuses[client.post("/api/v1/auth/logout-all", headers=headers).status_code] += 1
            time.sleep(0.05)  # or hardly anybody would get to refresh twice
        return statuses

    with ThreadPoolExecutor(REFRESHERS + ENDERS) as pool:
        refreshers = [pool.submit(refresh, number) for number in range(REFRESHERS)]
        enders = [pool.submit(log_out_everywhere, number) for number in range(ENDERS)]
        time.sleep(SECONDS)
        stop.set()
        refreshed = [future.result() for future in refreshers]
        ended = sum((future.result() for future in enders), Counter[int]())
    statuses = sum((counted for counted, _ in refreshed), Counter[int]())
    response = app.test_client().post("/api/v1/auth/logout-all", headers=as_bearer(log_in().access_token))
    assert response.status_code == 204

    assert statuses.keys() <= {200, 401}
    assert ended.keys() <= {204, 401}
    assert min(statuses[200], ended[204]) > 0
    assert {person.refresh(token).status_code for _, token in refreshed} == {401}
    with deps.database.read() as session:
        assert session.scalar(select(func.count()).where(Session.revoked_at.is_(None))) == 0
    say(
        f"logout-all drill on {database_backend}: {SECONDS} s, {statuses[200]} refreshes and {statuses[401]} refusals"
        f" by {REFRESHERS}, {ended[204]} logouts everywhere by {ENDERS}; 0 errors reached a client,"
        f" {len(conflicts)} conflicts in the database"
    )


def _open(deps: Any, user_id: UUID, session: WriteSession) -> TokenPair:
    user = share_user(session, user_id)
    assert user is not None
    _, tokens = open_session(deps, session, Client(), user, "api")
    session.commit()
    return tokens
