from collections.abc import Callable
from typing import Any

import pytest
from common.access import public
from common.redprint import Redprint
from common.web.sessions import current_database, read_session, write_session
from flask import Flask
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session


class FakeSession:
    def __init__(self, *, read_only: bool) -> None:
        self.read_only = read_only
        self.closed = 0
        self.is_lost = False

    def close(self) -> None:
        self.closed += 1
        if self.is_lost:
            raise OperationalError("ROLLBACK", None, ConnectionError("gone"))


class FakeDatabase:
    def __init__(self) -> None:
        self.sessions: list[FakeSession] = []

    def new_session(self, *, read_only: bool) -> FakeSession:
        self.sessions.append(FakeSession(read_only=read_only))
        return self.sessions[-1]


@pytest.fixture
def database() -> FakeDatabase:
    return FakeDatabase()


@pytest.fixture
def run(make_app: Callable[..., Flask], database: FakeDatabase) -> Callable[[Callable[[], Any]], int]:
    """Run an action inside a request and return the status."""

    def ask(action: Callable[[], Any]) -> int:
        def act() -> None:
            action()

        items = Redprint("items")
        items.get("", access=public)(act)
        return make_app(items, database=database).test_client().get("/api/v1/items").status_code

    return ask


def test_a_request_that_asks_for_none_opens_none(run: Any, database: FakeDatabase) -> None:
    assert run(lambda: None) == 204
    assert database.sessions == []


def test_a_session_is_opened_once_and_closed_at_the_end(run: Any, database: FakeDatabase) -> None:
    seen: list[Session] = []
    assert run(lambda: seen.extend([write_session(), write_session()])) == 204
    assert seen[0] is seen[1]
    assert [(session.read_only, session.closed) for session in database.sessions] == [(False, 1)]


def test_reading_and_writing_have_a_session_each(run: Any, database: FakeDatabase) -> None:
    assert run(lambda: (read_session(), write_session(), read_session())) == 204
    assert [(session.read_only, session.closed) for session in database.sessions] == [(True, 1), (False, 1)]


def test_a_failing_request_closes_its_session_too(run: Any, database: FakeDatabase) -> None:
    def fail() -> None:
        write_session()
        raise RuntimeError

    assert run(fail) == 500
    assert database.sessions[0].closed == 1


def test_a_connection_that_is_lost_by_the_end_spoils_no_answer(
    run: Any, database: FakeDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    def lose() -> None:
        write_session()
        read_session()
        database.sessions[0].is_lost = True

    assert run(lose) == 204
    assert [session.closed for session in database.sessions] == [1, 1]
    assert '"event":"session_close_failed"' in capsys.readouterr().out


def test_two_requests_share_no_session(make_app: Callable[..., Flask], database: FakeDatabase) -> None:
    items = Redprint("items")

    @items.get("", access=public)
    def act() -> None:
        assert current_database() is database
        read_session()

    client = make_app(items, database=database).test_client()
    assert [client.get("/api/v1/items").status_code for _ in range(2)] == [204, 204]
    assert len(database.sessions) == 2
