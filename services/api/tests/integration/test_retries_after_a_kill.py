"""A process that is killed around its commit, and a client that sends its request again with its key."""

import json
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest
from common.db import Database
from common.ids import new_id
from common.testing.databases import Schema
from common.testing.tokens import TokenFor
from contacts.models import Contact
from jobs.files import JobFile
from jobs.models import Job
from sqlalchemy import func, select

pytestmark = pytest.mark.drill
UPLOAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\nname\nAda\n\r\n--x--\r\n'
REQUESTS = [
    ("/api/v1/contacts", json.dumps({"name": "Ada", "external_id": "a1"}), "application/json"),
    ("/api/v1/contacts/exports", json.dumps({"format": "csv"}), "application/json"),
    ("/api/v1/contacts/imports", UPLOAD, "multipart/form-data; boundary=x"),
]

Answer = tuple[int, bytes, dict[str, str]]


def send(port: int, path: str, body: Any, headers: dict[str, str]) -> Answer:
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return response.status, response.read(), dict(response.headers)


def send_until_answered(port: int, path: str, body: Any, headers: dict[str, str]) -> tuple[int, Answer]:
    """How often it was sent, and the answer."""
    deadline = time.monotonic() + 30
    for sent in range(1, 1000):
        try:
            return sent, send(port, path, body, headers)
        except (OSError, HTTPException):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    raise AssertionError("never answered")


@pytest.mark.parametrize(("path", "body", "content_type"), REQUESTS, ids=["contact", "export", "import"])
@pytest.mark.parametrize("dies", ["before_commit", "after_commit"])
def test_it_is_done_once(
    *,
    serve: Any,
    make_database: Callable[[Schema], Database],
    as_role: Callable[[str, str, str], str],
    tmp_path: Path,
    token_for: TokenFor,
    dies: str,
    path: str,
    body: Any,
    content_type: str,
) -> None:
    database = make_database("api_service")
    url = database.url.set(drivername=database.dialect_name).render_as_string(hide_password=False)
    (tmp_path / "mark").touch()
    variables = {
        "DATABASE_URL": as_role(url, "api_service", "app"),
        "PYTHONPATH": str(Path(__file__).parent),
        "DIES": dies,
        "MARK": str(tmp_path / "mark"),
    }
    headers = {
        "Authorization": f"Bearer {token_for(new_id())}",
        "Content-Type": content_type,
        "Idempotency-Key": "once",
    }
    with serve(tmp_path, wsgi="dying_wsgi:app", **variables) as served:
        sent, first = send_until_answered(served.port, path, body, headers)
        again = send(served.port, path, body, headers)
    assert sent > 1
    assert first[0] in {201, 202}
    assert ("Idempotent-Replayed" in first[2]) is (dies == "after_commit")
    assert again[:2] == first[:2]
    assert again[2]["Idempotent-Replayed"] == "true"
    with database.read() as session:
        made = [session.scalars(select(func.count()).select_from(model)).one() for model in (Contact, Job, JobFile)]
    assert (sum(made[:2]), made[2]) == (1, int(path.endswith("imports")))
