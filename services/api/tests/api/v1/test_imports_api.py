"""Uploads: what is accepted, what is refused and with which code, and that a refusal leaves nothing behind."""

import gzip
import io
from pathlib import Path
from typing import Any

import pytest
from api_service.errors import PROBLEMS
from common.db import Database
from contacts import imports
from contacts.errors import ImportRefused
from contacts.testing import Importer
from jobs.files import FileStore, JobFile
from jobs.models import Job
from sqlalchemy import func, select
from werkzeug.test import TestResponse

PATH = "/api/v1/contacts/imports"
MAX_BYTES = 256 * 1024  # as conftest.py sets IMPORT_MAX_BYTES

User = Any


def pack(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)  # the time would be part of a test's name


def upload(user: User, data: bytes, **texts: str) -> TestResponse:
    response: TestResponse = user.post(PATH, data={"file": (io.BytesIO(data), "people.csv"), **texts})
    return response


def multipart(*parts: tuple[str, bytes]) -> dict[str, Any]:
    """The options of a request with these parts in this order, each head as it is to stand behind form-data."""
    body = b"".join(
        b"--x\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + data + b"\r\n"
        for head, data in parts
    )
    return {"data": body + b"--x--\r\n", "content_type": "multipart/form-data; boundary=x"}


def assert_nothing_stored(database: Database) -> None:
    with database.read() as session:
        assert [session.scalar(select(func.count()).select_from(model)) for model in (Job, JobFile)] == [0, 0]


def test_an_upload_becomes_a_queued_job_with_its_file(user: User, database: Database) -> None:
    data = b"full,email\nAda,a@b.de\n"
    response = upload(user, data, mapping='{"full": "name"}', on_conflict="update")
    body = response.get_json()
    assert response.status_code == 202
    assert response.headers["Location"] == body["links"]["self"] == f"/api/v1/jobs/{body['id']}"
    assert (body["kind"], body["state"], body["attempts"], body["result"]) == ("contacts.import", "queued", 0, None)
    with database.read() as session:
        job = session.scalars(select(Job)).one()
        file = session.scalars(select(JobFile)).one()
    payload = imports.ImportPayload.model_validate(job.payload)
    assert (payload.mapping, payload.on_conflict, payload.max_bytes) == ({"full": "name"}, "update", MAX_BYTES)
    assert (job.owner_id, file.owner_id, file.job_id, payload.file_id) == (user.id, user.id, job.id, file.id)
    assert b"".join(FileStore().read(database, file.id)) == data


def test_an_accepted_upload_imports_and_pages_through_all_of_it(user: User, database: Database) -> None:
    people = [f"P{n},Given{n},Famïly{n},{'' if n % 250 == 0 else f'Full Näme {n}'}" for n in range(540)]
    text = "\n".join(["nr,first,last,full", *people])
    mapping = '{"nr": "external_id", "first": "given_name", "last": "family_name", "full": "name"}'
    assert upload(user, text.encode(), mapping=mapping).status_code == 202
    with database.read() as session:
        payload = imports.ImportPayload.model_validate(session.scalars(select(Job)).one().payload)
    importer = Importer(database, user.id)
    with FileStore().open_file(database, payload.file_id) as source:
        result = importer.run(source, payload.mapping)
    assert (result.created, result.rejected) == (540, 0)
    names, cursor = [], ""
    while cursor is not None:
        page = user.get(f"/api/v1/contacts?limit=100{cursor and f'&cursor={cursor}'}").get_json()
        names += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert names == [f"Given{n} Famïly{n}" if n % 250 == 0 else f"Full Näme {n}" for n in range(540)]


def test_every_refusal_of_an_import_has_its_problem_and_stands_in_the_readme() -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    for refusal in ImportRefused.__subclasses__():
        assert PROBLEMS[refusal].code == refusal.code
        assert f"`{refusal.code}`" in readme


def test_parts_come_in_any_order_and_texts_may_be_files(user: User) -> None:
    file = ('name="file"; filename="x"', b"a\nx\n")
    mapping = ('name="mapping"; filename="m.json"', b'{"a": "name"}')
    for parts in ((file, mapping), (mapping, file)):
        assert user.post(PATH, **multipart(*parts)).status_code == 202


@pytest.mark.parametrize("data", [pack(b"name\nx\n"), b'{"name": "x"}\n', b"\xef\xbb\xbfname\n", b"name"])
def test_gzip_ndjson_a_byte_order_mark_and_a_header_alone_are_accepted(user: User, data: bytes) -> None:
    assert upload(user, data).status_code == 202


@pytest.mark.parametrize(
    ("sent", "code", "detail"),
    [
        ((b"", "{}"), "empty-file", "empty"),
        ((b"\n\n", "{}"), "empty-file", "empty"),
        ((pack(b""), "{}"), "empty-file", "empty"),
        (("name\nx\n".encode("utf-16"), "{}"), "not-utf8", "UTF-16"),
        (("name\nfrüh\n".encode("latin-1"), "{}"), "not-utf8", "byte 0xFC in line 2"),
        ((b"name\nx\n", '{"name": "shoe"}'), "unknown-target-field", '"shoe"'),
        ((b"name\nx\n", '{"full": "name"}'), "mapped-column-absent", '"full"'),
        ((b"full,name\nx,y\n", '{"full": "name"}'), "duplicate-target-field", '"full", "name"'),
        ((b"email\na@b.de\n", "{}"), "no-name-column", '"email"'),
        ((b'na"me,"x\n', "{}"), "malformed-header", "quote"),
        ((b"name" + b"," * 1000, "{}"), "too-many-columns", "1001 columns"),
        ((b'[{"name": "x"}]', "{}"), "not-ndjson", "array"),
        ((b"name\n", "[]"), "invalid-mapping", "JSON object"),
        ((b"name\n", "{"), "invalid-mapping", "not JSON"),
        ((pack(b"name\n" + bytes(range(32, 127)) * 50)[:60], "{}"), "damaged-gzip", "damaged"),
    ],
)
def test_a_file_no_row_could_come_from_is_refused_with_a_code_and_stored_nowhere(
    user: User, database: Database, sent: tuple[bytes, str], code: str, detail: str
) -> None:
    data, mapping = sent
    response = upload(user, data, mapping=mapping)
    body = response.get_json()
    assert (response.status_code, response.content_type, body["code"]) == (422, "application/problem+json", code)
    assert detail in body["detail"]
    assert [error["code"] for error in body["errors"]] == [code]
    assert_nothing_stored(database)


@pytest.mark.parametrize(
    ("parts", "field", "code"),
    [
        ([], "file", "missing"),
        ([('name="on_conflict"', b"skip")], "file", "missing"),
        ([('name="file"', b"name\n"), ('name="file"', b"name\n")], "file", "repeated"),
        ([('name="mapping"', b"{}"), ('name="mapping"', b"{}"), ('name="file"', b"name\n")], "mapping", "repeated"),
        ([('name="file"', b"name\n"), ('name="format"', b"csv")], "format", "extra-forbidden"),
        ([('name="other"; filename="x"', b"name\n")], "other", "extra-forbidden"),
        ([('filename="x"', b"name\n")], "", "extra-forbidden"),
        ([('name="file"', b"name\n"), ('name="on_conflict"', b"replace")], "on_conflict", "enum"),
        ([('name="file"', b"name\n"), ('name="mapping"', b"{\xff}")], "mapping", "not_utf8"),
        ([('name="file"', b"name\n"), ('name="mapping"', b"x" * 20_000)], "mapping", "too-long"),
    ],
)
def test_parts_that_are_missing_repeated_unknown_or_wrong_are_named(
    user: User, database: Database, parts: list[tuple[str, bytes]], field: str, code: str
) -> None:
    response = user.post(PATH, **multipart(*parts))
    assert response.status_code == 422, response.text
    assert [(error["field"], error["code"]) for error in response.get_json()["errors"]] == [(field, code)]
    assert_nothing_stored(database)


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"json": {"file": "name"}}, 415, "unsupported-media-type"),
        ({"data": b"name\n", "content_type": "text/csv"}, 415, "unsupported-media-type"),
        ({"data": b"--x--", "content_type": "multipart/form-data"}, 415, "unsupported-media-type"),
        ({"data": b"name\n", "content_type": "multipart/form-data; boundary=x"}, 400, "malformed-multipart"),
        ({"data": b"y" * 150_000, "content_type": "multipart/form-data; boundary=x"}, 400, "malformed-multipart"),
        (
            {
                "data": multipart(('name="file"', b"name\nx\n"))["data"][:-12],
                "content_type": "multipart/form-data; boundary=x",
            },
            400,
            "malformed-multipart",
        ),
        (
            {"data": b"--x\r\nX-No: disposition\r\n\r\n\r\n--x--", "content_type": "multipart/form-data; boundary=x"},
            400,
            "malformed-multipart",
        ),
    ],
)
def test_a_body_that_is_no_upload_is_refused(
    user: User, database: Database, options: dict[str, Any], status: int, code: str
) -> None:
    response = user.post(PATH, **options)
    assert (response.status_code, response.get_json()["code"]) == (status, code)
    assert_nothing_stored(database)


def test_a_file_of_the_largest_size_is_accepted_and_one_byte_more_is_not(user: User, database: Database) -> None:
    largest = b"name\n" + b"x\n" * (MAX_BYTES // 2)
    response = upload(user, largest[: MAX_BYTES + 1])
    assert (response.status_code, response.get_json()["code"]) == (413, "import-too-large")
    assert_nothing_stored(database)
    assert upload(user, largest[:MAX_BYTES]).status_code == 202


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_far_over_the_limit_is_refused(user: User, database: Database, declared: bool) -> None:
    options = multipart(('name="file"', b"name\n" + b"x\n" * MAX_BYTES))
    if not declared:  # as with Transfer-Encoding: chunked, whose end the server marks
        stream = io.BytesIO(options.pop("data"))
        options |= {"input_stream": stream, "environ_overrides": {"wsgi.input_terminated": True}}
    response = user.post(PATH, **options)
    assert (response.status_code, response.get_json()["code"]) == (413, "import-too-large")
    assert_nothing_stored(database)


def test_a_file_that_is_unfit_from_its_first_bytes_on_is_refused_before_the_rest_is_read(user: User) -> None:
    body = multipart(('name="file"', b"\xff" * 200_000))
    stream = io.BytesIO(body.pop("data"))
    response = user.post(PATH, input_stream=stream, environ_overrides={"wsgi.input_terminated": True}, **body)
    assert response.get_json()["code"] == "not-utf8"
    assert stream.tell() < 150_000


@pytest.mark.parametrize("scopes", [("contacts:write",), ("jobs:write",), ("contacts:read", "jobs:read")])
def test_an_import_takes_both_scopes(user: User, database: Database, scopes: tuple[str, ...]) -> None:
    response = user.post(PATH, scopes=scopes, data={"file": (io.BytesIO(b"name\n"), "x")})
    assert response.status_code == 403
    assert "contacts:write jobs:write" in response.headers["WWW-Authenticate"]
    assert_nothing_stored(database)


def test_an_upload_named_like_the_file_of_rejected_rows_is_kept_apart_from_it(user: User) -> None:
    response = user.post(PATH, data={"file": (io.BytesIO(b"name\n"), "errors.csv")})
    job = response.get_json()["links"]["self"]
    assert user.get(f"{job}/errors").status_code == 404
