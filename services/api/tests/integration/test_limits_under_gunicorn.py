"""Limits under a crowd: of one owner's jobs, and of streams, with the answers those get who are one too many."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from common.db import Database
from common.ids import new_id
from common.testing.databases import Schema
from common.testing.tokens import TokenFor
from common.testing.waiting import eventually
from jobs.files import JobFile
from jobs.models import Job
from sqlalchemy import func, select

pytestmark = pytest.mark.slow
THREADS = 8
UPLOAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\nname\nAda\n\r\n--x--\r\n'
EXPORT = ("/api/v1/contacts/exports", b'{"format": "csv"}', "application/json")
IMPORT = ("/api/v1/contacts/imports", UPLOAD, "multipart/form-data; boundary=x")

Answer = tuple[int, Any, dict[str, str]]


def ask(port: int, token: str, method: str, path: str, *content: Any) -> Answer:
    """`content` is a body and its type."""
    body, content_type = content or (None, "")
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        headers = {"Authorization": f"Bearer {token}"} | ({"Content-Type": content_type} if body else {})
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read()), dict(response.headers)


def test_fifty_requests_at_once_exceed_the_limit_of_jobs_by_the_threads_at_most(
    *,
    serve: Any,
    make_database: Callable[[Schema], Database],
    as_role: Callable[[str, str, str], str],
    tmp_path: Path,
    token_for: TokenFor,
) -> None:
    database, limit, clients = make_database("api_service"), 20, 50
    url = database.url.set(drivername=database.dialect_name).render_as_string(hide_password=False)
    variables = {
        "DATABASE_URL": as_role(url, "api_service", "app"),
        "JOBS_MAX_UNFINISHED": str(limit),
        "WEB_THREADS": str(THREADS),
        "DB_POOL_SIZE": str(THREADS),
    }
    owner, other, gate = token_for(new_id()), token_for(new_id()), threading.Barrier(clients)
    with serve(tmp_path, **variables) as served:
        for _ in range(limit - 3):
            assert ask(served.port, owner, "POST", *EXPORT)[0] == 202

        def post(number: int) -> Answer:
            gate.wait()
            return ask(served.port, owner, "POST", *(IMPORT if number % 2 else EXPORT))

        with ThreadPoolExecutor(clients) as crowd:
            answers = list(crowd.map(post, range(clients)))
        accepted = [body["id"] for status, body, _ in answers if status == 202]
        refused = [(body["code"], headers["Retry-After"]) for status, body, headers in answers if status == 429]
        assert Counter(status for status, *_ in answers) == {202: len(accepted), 429: len(refused)}
        assert set(refused) == {("too-many-jobs", "60")}
        assert 3 <= len(accepted) <= 3 + THREADS
        # Nobody else's limit is touched, and once the crowd is gone this one's holds.
        assert ask(served.port, other, "POST", *EXPORT)[0] == 202
        assert ask(served.port, owner, "POST", *EXPORT)[0] == 429
    with database.read() as session:
        ids = {str(job_id) for job_id in session.scalars(select(Job.id))}
        imports = session.scalars(select(func.count()).where(Job.kind == "contacts.import")).one()
        files = session.scalars(select(func.count()).select_from(JobFile)).one()
    assert set(accepted) <= ids
    assert (len(ids), files) == (limit - 3 + len(accepted) + 1, imports)


@pytest.mark.drill
def test_a_hundred_clients_of_events_take_half_of_the_threads_and_hold_up_neither_others_nor_a_stop(
    serve: Any, tmp_path: Path, token_for: TokenFor
) -> None:
    token, clients = token_for(new_id()), 100
    with serve(tmp_path, WEB_THREADS=str(THREADS), GRACEFUL_TIMEOUT_SECONDS="30") as served, ExitStack() as opened:
        job = f"/api/v1/jobs/{ask(served.port, token, 'POST', *EXPORT)[1]['id']}"

        def connect(_number: int = 0) -> tuple[HTTPConnection, HTTPResponse]:
            connection = HTTPConnection("127.0.0.1", served.port, timeout=30)
            opened.callback(connection.close)
            connection.request("GET", f"{job}/events", headers={"Authorization": f"Bearer {token}"})
            return connection, connection.getresponse()

        def crowd() -> tuple[list[tuple[HTTPConnection, HTTPResponse]], list[HTTPResponse]]:
            with ThreadPoolExecutor(clients) as pool:
                each = list(pool.map(connect, range(clients)))
            streams = [(connection, answer) for connection, answer in each if answer.status == 200]
            return streams, [answer for _, answer in each if answer.status != 200]

        streams, refused = crowd()
        assert (len(streams), len(refused)) == (THREADS // 2, clients - THREADS // 2)
        for answer in refused:
            problem = json.loads(answer.read())
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
            assert problem["code"] == "too-many-streams"
            assert "ask for the job itself" in problem["detail"]
        assert all(answer.readline() == b"retry: 2000\n" for _, answer in streams)
        with ThreadPoolExecutor(20) as others:
            asked = list(others.map(lambda _: ask(served.port, token, "GET", job)[0], range(200)))
        assert set(asked) == {200}

        for connection, answer in streams:  # they go away without a word
            answer.close()
            connection.close()
        again: list[HTTPResponse] = []

        def all_places_are_taken_again() -> bool:
            answer = connect()[1]
            if answer.status == 200:
                again.append(answer)
            time.sleep(0.05)
            return len(again) == THREADS // 2

        eventually(all_places_are_taken_again)
        served.process.terminate()
        stopped = time.monotonic()
        for answer in again:
            assert answer.read().endswith(b"\n\n")  # whole, and not broken off
        assert served.process.wait(30) == 0, served.log.read_text()
        assert time.monotonic() - stopped < 15, "nobody waits out the grace period, or the minute of a stream"
    assert "Traceback" not in served.log.read_text()
