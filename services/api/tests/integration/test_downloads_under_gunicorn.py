"""Files as they are sent: whole, or an answer that shows it is not, whatever happens to the job meanwhile."""

import hashlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from common.clock import utc_now
from common.db import Database
from common.ids import new_id
from common.testing.databases import Schema
from common.testing.tokens import TokenFor
from common.testing.waiting import eventually
from contacts.exports import CONTACTS_EXPORT, ExportFormat, ExportPayload, ExportResult, file_name
from jobs.dispatcher.purging import Purge, Retention
from jobs.enqueue import enqueue
from jobs.files import CHUNK_BYTES, FileStore, JobFileChunk
from jobs.models import Job
from jobs.states import JobState
from sqlalchemy import update

pytestmark = pytest.mark.slow
SIZE = 24 * 1024 * 1024  # more than the buffers between two sockets hold
LINE = b"%08d,some contact or other\r\n"
DATA = b"".join(LINE % number for number in range(SIZE // len(LINE % 0)))


@pytest.fixture
def database(make_database: Callable[[Schema], Database]) -> Database:
    return make_database("api_service")


@pytest.fixture
def served(serve: Any, database: Database, as_role: Callable[[str, str, str], str], tmp_path: Path) -> Iterator[Any]:
    url = database.url.set(drivername=database.dialect_name).render_as_string(hide_password=False)
    with serve(tmp_path, DATABASE_URL=as_role(url, "api_service", "app"), CLIENT_TIMEOUT_SECONDS="2") as served:
        yield served


def finished_export(database: Database, owner_id: UUID) -> UUID:
    """A job that has written DATA."""
    with database.write() as session:
        payload = ExportPayload(format=ExportFormat.CSV)
        job = enqueue(session, owner_id=owner_id, kind=CONTACTS_EXPORT, payload=payload)
        FileStore().append(session, job.id, file_name(ExportFormat.CSV), DATA, owner_id=owner_id)
        result = ExportResult(format=ExportFormat.CSV, rows=1, bytes=len(DATA)).model_dump(mode="json")
        done = {"state": JobState.SUCCEEDED, "result": result, "finished_at": utc_now()}
        session.execute(update(Job).where(Job.id == job.id).values(done))
        session.commit()
        return job.id


@contextmanager
def download(port: int, token: str, job_id: UUID) -> Iterator[HTTPResponse]:
    """The answer of which nothing is read yet, to a client that takes little at a time."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.sock = socket.socket()
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
        connection.sock.settimeout(30)
        connection.sock.connect(("127.0.0.1", port))
        connection.request("GET", f"/api/v1/jobs/{job_id}/result", headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        assert (response.status, response.headers["Content-Length"]) == (200, str(len(DATA)))
        yield response


def ask(port: int, token: str, method: str, path: str) -> tuple[int, dict[str, Any]]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, path, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def purge(database: Database) -> None:
    assert Purge("api", database, Retention(succeeded_days=-1), None).delete_jobs() is False


def test_a_job_purged_while_its_file_is_sent_breaks_the_answer_off(
    served: Any, database: Database, token_for: TokenFor
) -> None:
    owner_id = new_id()
    token, job_id = token_for(owner_id), finished_export(database, owner_id)
    with download(served.port, token, job_id) as response:
        begun = response.read(CHUNK_BYTES)
        purge(database)
        with pytest.raises(IncompleteRead) as broken:
            response.read()
    sent = begun + broken.value.partial
    assert sent == DATA[: len(sent)]  # what did come is what was written
    assert ask(served.port, token, "GET", f"/api/v1/jobs/{job_id}/result")[1]["code"] == "job-not-found"


def test_a_cancel_changes_nothing_of_a_file_that_is_sent(served: Any, database: Database, token_for: TokenFor) -> None:
    owner_id = new_id()
    token, job_id = token_for(owner_id), finished_export(database, owner_id)
    with download(served.port, token, job_id) as response:
        begun = response.read(CHUNK_BYTES)
        status, job = ask(served.port, token, "POST", f"/api/v1/jobs/{job_id}/cancel")
        assert (status, job["state"]) == (202, "succeeded")
        assert digest(begun + response.read()) == digest(DATA)


def test_bytes_that_were_altered_are_never_sent(served: Any, database: Database, token_for: TokenFor) -> None:
    owner_id = new_id()
    token, job_id = token_for(owner_id), finished_export(database, owner_id)
    alter(database, 40 * CHUNK_BYTES)
    with download(served.port, token, job_id) as response, pytest.raises(IncompleteRead) as broken:
        response.read()
    assert broken.value.partial == DATA[: 40 * CHUNK_BYTES]
    assert "does not have the checksum it was written with" in served.log.read_text()
    alter(database, 0)
    # Nothing was sent yet: here the answer can say so.
    assert ask(served.port, token, "GET", f"/api/v1/jobs/{job_id}/result")[0] == 500


def alter(database: Database, start_byte: int) -> None:
    with database.write() as session:
        changed = DATA[start_byte : start_byte + CHUNK_BYTES].replace(b"some", b"none", 1)
        chunk = update(JobFileChunk).where(JobFileChunk.start_byte == start_byte).values(data=changed)
        assert session.execute(chunk).rowcount == 1  # type: ignore[attr-defined] # an UPDATE has one
        session.commit()


@pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)
def test_slow_clients_leave_a_thread_to_others(served: Any, database: Database, token_for: TokenFor) -> None:
    owner_id = new_id()
    token, job_id = token_for(owner_id), finished_export(database, owner_id)
    place = f"/api/v1/jobs/{job_id}/result"
    with ExitStack() as slow:
        for _ in range(3):  # of four threads
            slow.enter_context(download(served.port, token, job_id))
        status, problem = ask(served.port, token, "GET", place)
        assert (status, problem["code"]) == (503, "too-many-downloads")
        assert ask(served.port, token, "GET", f"/api/v1/jobs/{job_id}")[0] == 200
        slow.close()
    with eventually_sent(served.port, token, job_id) as response:
        assert digest(response.read()) == digest(DATA)


@contextmanager
def eventually_sent(port: int, token: str, job_id: UUID) -> Iterator[HTTPResponse]:
    """Those that went away are noticed when something is sent to them."""
    with ExitStack() as opened:

        def begin() -> HTTPResponse | None:
            with suppress(AssertionError):
                return opened.enter_context(download(port, token, job_id))
            return None

        response = eventually(begin)
        assert response is not None
        yield response


@pytest.mark.drill
@pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)
def test_slow_clients_get_everything_and_those_that_stop_reading_free_their_thread(
    served: Any, database: Database, token_for: TokenFor
) -> None:
    owner_id = new_id()
    token, job_id = token_for(owner_id), finished_export(database, owner_id)
    stopped = [download(served.port, token, job_id) for _ in range(3)]  # as many as may be sent at once
    for each in stopped:
        each.__enter__()
    with eventually_sent(served.port, token, job_id) as response:
        received = bytearray()
        while piece := response.read(1024 * 1024):
            received += piece
            time.sleep(0.2)  # 5 s in all, and longer than CLIENT_TIMEOUT_SECONDS
        assert digest(bytes(received)) == digest(DATA)
    for each in stopped:
        each.__exit__(None, None, None)
