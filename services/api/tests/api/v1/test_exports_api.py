"""Exports over HTTP: asked for, written by a worker, and sent as a file."""

import importlib
import io
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from common.clock import utc_now
from common.db import Database
from contacts.exports import CONTACTS_EXPORT, ExportFormat, ExportPayload, ExportResult, file_name
from contacts.testing import Exporter, Importer
from jobs import enqueue as enqueuing
from jobs.dispatcher.purging import Purge, Retention
from jobs.files import FileStore, JobFileChunk
from jobs.models import Job
from jobs.states import JobState
from pymysql import err
from sqlalchemy import Connection, select, update
from sqlalchemy.exc import OperationalError

PATH = "/api/v1/contacts/exports"
User = Any
jobs_api = importlib.import_module("api_service.api.v1.jobs")  # the package has a Redprint of that name


def write(database: Database, job_id: Any, owner_id: Any, data: bytes, *, name: str, **columns: Any) -> None:
    """Do what the worker does: the file in pieces, then the end of the job."""
    with database.write() as session:
        for start in range(0, len(data) or 1, 300_000):
            FileStore().append(session, job_id, name, data[start : start + 300_000], owner_id=owner_id)
        session.execute(update(Job).where(Job.id == job_id).values(**columns))
        session.commit()


def finish(database: Database, job: dict[str, Any], owner_id: Any, data: bytes, file_format: str = "csv") -> None:
    result = ExportResult(format=ExportFormat(file_format), rows=1, bytes=len(data)).model_dump(mode="json")
    name = file_name(ExportFormat(file_format))
    write(
        database,
        UUID(job["id"]),
        owner_id,
        data,
        name=name,
        state=JobState.SUCCEEDED,
        result=result,
        finished_at=utc_now(),
    )


@pytest.mark.parametrize(
    ("body", "tag"),
    [
        ({"format": "csv"}, None),
        ({"format": "ndjson", "filter": None}, None),
        ({"format": "csv", "filter": {}}, None),
        ({"format": "csv", "filter": {"tag": " friend "}}, "friend"),
    ],
)
def test_an_export_becomes_a_queued_job(user: User, database: Database, body: dict[str, Any], tag: str | None) -> None:
    response = user.post(PATH, json=body)
    job = response.get_json()
    assert response.status_code == 202
    assert response.headers["Location"] == job["links"]["self"] == f"/api/v1/jobs/{job['id']}"
    assert (job["kind"], job["state"], set(job["links"])) == ("contacts.export", "queued", {"self", "events", "cancel"})
    with database.read() as session:
        row = session.scalars(select(Job)).one()
    payload = ExportPayload.model_validate(row.payload)
    assert (payload.format, payload.filter.tag) == (body["format"], tag)
    assert (row.owner_id, row.queue, row.kind) == (user.id, "bulk", CONTACTS_EXPORT.name)


def test_an_export_whose_acceptance_nobody_heard_of_is_accepted_once(
    user: User, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert, lost = enqueuing._insert, []  # the statement that is sent

    def send(connection: Connection, values: dict[str, Any]) -> Any:
        written = insert(connection, values)
        if not lost:
            lost.append(OperationalError("INSERT", {}, err.OperationalError(2013, "Lost connection during query")))
            raise lost[0]
        return written

    monkeypatch.setattr(enqueuing, "_insert", send)
    job = user.post(PATH, json={"format": "csv"}).get_json()
    with database.read() as session:
        assert [str(job_id) for job_id in session.scalars(select(Job.id))] == [job["id"]]
    assert user.get(job["links"]["self"]).get_json()["created_at"] == job["created_at"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "format"),
        ({"format": "xlsx"}, "format"),
        ({"format": "csv", "columns": ["name"]}, "columns"),
        ({"format": "csv", "filter": {"name": "x"}}, "filter.name"),
        ({"format": "csv", "filter": {"tag": ""}}, "filter.tag"),
        ({"format": "csv", "filter": {"tag": "x" * 51}}, "filter.tag"),
    ],
)
def test_an_export_that_makes_no_sense_is_refused(user: User, body: dict[str, Any], field: str) -> None:
    response = user.post(PATH, json=body)
    assert (response.status_code, response.get_json()["code"]) == (422, "validation-failed")
    assert [error["field"] for error in response.get_json()["errors"]] == [field]


@pytest.mark.parametrize("scopes", [("contacts:read",), ("jobs:write",), ("contacts:write", "jobs:write")])
def test_an_export_needs_the_right_to_read_and_to_start_jobs(user: User, scopes: tuple[str, ...]) -> None:
    assert user.post(PATH, json={"format": "csv"}, scopes=scopes).status_code == 403


@pytest.mark.parametrize(
    ("file_format", "content_type"),
    [("csv", "text/csv; charset=utf-8; header=present"), ("ndjson", "application/x-ndjson")],
)
def test_the_file_is_sent_whole_with_its_length_and_name(
    user: User, database: Database, file_format: str, content_type: str
) -> None:
    job = user.post(PATH, json={"format": file_format}).get_json()
    data = "näme\r\n".encode() * 100_000
    finish(database, job, user.id, data, file_format)
    place = user.get(f"/api/v1/jobs/{job['id']}").get_json()["links"]["result"]
    response = user.get(place, headers={"Range": "bytes=0-9"})
    assert (response.status_code, response.content_type, response.data) == (200, content_type, data)
    assert response.headers["Content-Disposition"] == f'attachment; filename="contacts-{job["id"]}.{file_format}"'
    assert (response.content_length, response.headers["Accept-Ranges"]) == (len(data), "none")
    head = user.open("HEAD", place)
    assert (head.status_code, head.content_length, head.data) == (200, len(data), b"")


def test_an_empty_file_is_a_file(user: User, database: Database) -> None:
    job = user.post(PATH, json={"format": "ndjson"}).get_json()
    finish(database, job, user.id, b"", "ndjson")
    response = user.get(f"/api/v1/jobs/{job['id']}/result")
    assert (response.status_code, response.content_length, response.data) == (200, 0, b"")


@pytest.mark.parametrize("state", [state for state in JobState if state is not JobState.SUCCEEDED])
def test_the_beginning_of_a_file_is_no_result(user: User, database: Database, state: JobState) -> None:
    job = user.post(PATH, json={"format": "csv"}).get_json()
    write(database, UUID(job["id"]), user.id, b"external_id", name="contacts.csv", state=state)
    assert "result" not in user.get(f"/api/v1/jobs/{job['id']}").get_json()["links"]
    response = user.get(f"/api/v1/jobs/{job['id']}/result")
    assert (response.status_code, response.get_json()["code"]) == (404, "result-not-found")


def test_jobs_that_write_no_file_have_no_result(user: User, database: Database) -> None:
    job = user.post("/api/v1/contacts/imports", data={"file": (io.BytesIO(b"name\nx\n"), "x")}).get_json()
    with database.write() as session:
        done = {"state": JobState.SUCCEEDED, "result": {"rows": 1, "rejected": 0}}
        session.execute(update(Job).where(Job.id == UUID(job["id"])).values(**done))
        session.commit()
    assert user.get(f"/api/v1/jobs/{job['id']}/result").get_json()["code"] == "result-not-found"


def test_another_user_s_file_is_not_there(user: User, new_user: Any, database: Database) -> None:
    job = user.post(PATH, json={"format": "csv"}).get_json()
    finish(database, job, user.id, b"secret")
    response = new_user().get(f"/api/v1/jobs/{job['id']}/result")
    assert (response.status_code, response.get_json()["code"]) == (404, "job-not-found")


def test_what_is_exported_can_be_uploaded_as_it_is(user: User, new_user: Any, database: Database) -> None:
    importer, other = Importer(database, user.id), new_user()
    importer.run('{"name": "Ärger, \\"Jo\\"", "tags": ["a"], "external_id": "1"}\n'.encode())
    job = user.post(PATH, json={"format": "csv"}).get_json()
    exporter = Exporter(database, user.id)
    exporter.run("csv")
    finish(database, job, user.id, exporter.files["contacts.csv"])
    data = user.get(f"/api/v1/jobs/{job['id']}/result").data
    assert other.post("/api/v1/contacts/imports", data={"file": (io.BytesIO(data), "x.csv")}).status_code == 202
    assert Importer(database, other.id).run(data).created == 1
    mine, theirs = (each.get("/api/v1/contacts").get_json()["items"] for each in (user, other))
    own = ("id", "created_at", "updated_at")
    assert [{k: v for k, v in c.items() if k not in own} for c in mine] == [
        {k: v for k, v in c.items() if k not in own} for c in theirs
    ]


@pytest.mark.parametrize("name", ["result", "errors"])
def test_a_file_deleted_just_before_it_is_sent_is_not_there(
    user: User, database: Database, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    job = user.post(PATH, json={"format": "csv"}).get_json()
    finish(database, job, user.id, b"name\r\n")
    write(database, UUID(job["id"]), user.id, b"name\r\n", name="errors.csv", state=JobState.SUCCEEDED)
    find = getattr(jobs_api, f"find_{name}")

    def find_and_delete(*args: Any) -> Any:
        found = find(*args)
        assert Purge("api", database, Retention(succeeded_days=-1), None).delete_jobs() is False
        return found

    monkeypatch.setattr(jobs_api, f"find_{name}", find_and_delete)
    response = user.get(f"/api/v1/jobs/{job['id']}/{name}")
    assert (response.status_code, response.get_json()["code"]) == (404, "file-not-found")


def test_a_file_that_grows_is_sent_as_long_as_its_answer_says(
    user: User, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = user.post(PATH, json={"format": "csv"}).get_json()
    grow = partial(write, database, UUID(job["id"]), user.id, name="errors.csv", state=JobState.RUNNING)
    grow(b"name,line\r\n")
    find = jobs_api.find_errors

    def find_and_grow(*args: Any) -> Any:
        found = find(*args)
        grow(b"x,2\r\n")
        return found

    monkeypatch.setattr(jobs_api, "find_errors", find_and_grow)
    response = user.get(f"/api/v1/jobs/{job['id']}/errors")
    assert (response.content_length, response.data) == (11, b"name,line\r\n")


def test_a_damaged_file_is_an_error_and_no_file(user: User, database: Database) -> None:
    job = user.post(PATH, json={"format": "csv"}).get_json()
    finish(database, job, user.id, b"name\r\n")
    with database.write() as session:
        session.execute(update(JobFileChunk).values(data=b"nane\r\n"))
        session.commit()
    response = user.get(f"/api/v1/jobs/{job['id']}/result")
    assert (response.status_code, response.content_type) == (500, "application/problem+json")
