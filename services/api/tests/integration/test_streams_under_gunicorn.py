"""Answers that last: events of jobs hold no thread that others need, no database, and up no stop."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from common.db import Database
from common.ids import new_id
from common.testing.tokens import TokenFor
from jobs.models import Job
from jobs.states import JobState
from sqlalchemy import update

pytestmark = pytest.mark.slow
Served = Any


@contextmanager
def request(served: Served, token: str, method: str, path: str, body: Any = None) -> Iterator[HTTPResponse]:
    with closing(HTTPConnection("127.0.0.1", served.port, timeout=30)) as connection:
        headers = {"Authorization": f"Bearer {token}"} | ({"Content-Type": "application/json"} if body else {})
        connection.request(method, path, json.dumps(body) if body else None, headers)
        yield connection.getresponse()


def start_job(served: Served, token: str) -> str:
    with request(served, token, "POST", "/api/v1/contacts/exports", {"format": "csv"}) as response:
        job: dict[str, Any] = json.loads(response.read())
        assert response.status == 202
    return f"/api/v1/jobs/{job['id']}"


def next_event(response: HTTPResponse) -> list[str]:
    """The lines of the next event that says something, comments left out."""
    while True:
        lines = list(iter(lambda: response.readline().decode().rstrip("\n"), ""))
        if lines and not lines[0].startswith(":"):
            return lines


def test_streams_leave_threads_to_others_and_see_the_end(serve: Any, tmp_path: Path, token_for: TokenFor) -> None:
    token = token_for(new_id())
    with serve(tmp_path) as served:
        job = start_job(served, token)
        place = f"{job}/events"
        with request(served, token, "GET", place) as one, request(served, token, "GET", place) as two:
            for stream in (one, two):
                assert (stream.status, stream.headers["Transfer-Encoding"]) == (200, "chunked")
                assert [next_event(stream)[0][:6], next_event(stream)[0]] == ["retry:", "event: job"]
            with request(served, token, "GET", place) as refused:
                assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
            with request(served, token, "GET", job) as shown:
                assert shown.status == 200
            finish(served)
            for stream in (one, two):
                assert json.loads(next_event(stream)[2].removeprefix("data: "))["state"] == "cancelled"
                assert stream.read() == b""
        with request(served, token, "GET", place) as again:
            assert again.status == 200


def finish(served: Served) -> None:
    database = Database(served.database_url)
    with database.write() as session:
        session.execute(update(Job).values(state=JobState.CANCELLED))
        session.commit()
    database.dispose()


@pytest.mark.drill
def test_a_client_that_went_away_gives_its_place_to_another(serve: Any, tmp_path: Path, token_for: TokenFor) -> None:
    token = token_for(new_id())
    with serve(tmp_path) as served:
        place = f"{start_job(served, token)}/events"
        for _ in range(2):
            with request(served, token, "GET", place) as response:
                assert response.status == 200
        deadline = time.monotonic() + 30  # two heartbeats: the first is still taken by a closed connection
        status = 503
        while status == 503 and time.monotonic() < deadline:
            time.sleep(0.2)
            with request(served, token, "GET", place) as response:
                status = response.status
        assert status == 200


@pytest.mark.parametrize("stop", ["terminate", "interrupt"])
def test_a_stop_does_not_wait_for_streams(serve: Any, tmp_path: Path, token_for: TokenFor, stop: str) -> None:
    token = token_for(new_id())
    with serve(tmp_path, GRACEFUL_TIMEOUT_SECONDS="50") as served:
        with request(served, token, "GET", f"{start_job(served, token)}/events") as stream:
            assert [next_event(stream)[0][:6], next_event(stream)[0]] == ["retry:", "event: job"]
            end(served.process, stop)
            assert stream.read() == b""  # a whole answer, not a broken one
        assert served.process.wait(20) == 0, served.log.read_text()


def end(process: subprocess.Popen[bytes], stop: str) -> None:
    if stop == "terminate":
        process.terminate()
    else:
        process.send_signal(2)
