"""Requests that are sent again with their Idempotency-Key: contacts, imports and exports are made once."""

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from common.clock import utc_now
from common.db import Database
from common.idempotency import KEPT
from common.idempotency.table import idempotency_keys
from common.testing.statements import statements
from contacts.models import Contact
from flask import Flask
from jobs.files import JobFile, JobFileChunk
from jobs.models import Job
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

CONTACTS = "/api/v1/contacts"
IMPORTS = "/api/v1/contacts/imports"
EXPORTS = "/api/v1/contacts/exports"
ADA = {"name": "Ada", "external_id": "a1"}
User = Any
Send = Callable[[User, str | None], TestResponse]


def key_of(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Idempotency-Key": key}


def create(user: User, key: str | None, body: Any = ADA) -> TestResponse:
    response: TestResponse = user.post(CONTACTS, json=body, headers=key_of(key))
    return response


def start_export(user: User, key: str | None, body: Any = None) -> TestResponse:
    response: TestResponse = user.post(EXPORTS, json=body or {"format": "csv"}, headers=key_of(key))
    return response


def start_import(user: User, key: str | None, data: bytes = b"name\nAda\n", **texts: str) -> TestResponse:
    body = {"file": (io.BytesIO(data), "people.csv"), **texts}
    response: TestResponse = user.post(IMPORTS, data=body, headers=key_of(key))
    return response


SENDERS = pytest.mark.parametrize("send", [create, start_export, start_import])


def count(database: Database, *models: Any) -> list[int]:
    with database.read() as session:
        return [session.scalars(select(func.count()).select_from(model)).one() for model in models]


def assert_replays(second: TestResponse, first: TestResponse) -> None:
    assert (second.status_code, second.data) == (first.status_code, first.data)
    for name in ("Location", "ETag", "Content-Type"):
        assert second.headers.get(name) == first.headers.get(name)
    assert second.headers["Idempotent-Replayed"] == "true"


@SENDERS
def test_sent_again_with_its_key_a_request_is_done_once(user: User, database: Database, send: Send) -> None:
    first, second = send(user, "key"), send(user, "key")
    assert first.status_code in {201, 202}
    assert_replays(second, first)
    assert sum(count(database, Contact, Job)) == 1
    assert max(count(database, JobFile, JobFileChunk)) <= 1


@SENDERS
def test_another_user_may_use_the_same_key(new_user: Callable[[], User], database: Database, send: Send) -> None:
    answers = [send(new_user(), "key") for _ in range(2)]
    assert answers[0].data != answers[1].data
    assert sum(count(database, Contact, Job)) == 2


@SENDERS
def test_fifty_at_once_make_one(
    app: Flask, new_user: Callable[[], User], user: User, database: Database, send: Send
) -> None:
    assert app.extensions["database"].pool_size < 50
    users = [new_user() for _ in range(50)]
    start = threading.Barrier(50)

    def go(one: User) -> TestResponse:
        one.id = user.id
        start.wait(30)
        return answered(lambda: send(one, "key"))

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(go, users))
    assert {(answer.status_code, answer.data, answer.headers["Location"]) for answer in answers} == {
        (answers[0].status_code, answers[0].data, answers[0].headers["Location"])
    }
    assert answers[0].status_code in {201, 202}
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert sum(count(database, Contact, Job)) == 1


def answered(send: Callable[[], TestResponse]) -> TestResponse:
    """As a client does it: while there is no time for it (fifty threads share six connections), it asks again."""
    response = send()
    while response.status_code in {409, 503}:
        assert "Retry-After" in response.headers, response.get_json()
        response = send()
    return response


def test_a_key_with_another_body_is_refused(user: User, database: Database) -> None:
    senders: list[tuple[Callable[..., TestResponse], Any]] = [
        (create, {"name": "Eve"}),
        (start_export, {"format": "ndjson"}),
        (start_import, b"name\nEve\n"),
    ]
    for send, other in senders:
        assert send(user, "key").status_code in {201, 202}
        refused = send(user, "key", other)
        assert (refused.status_code, refused.get_json()["code"]) == (422, "idempotency-key-reused")
    refused = start_import(user, "key", on_conflict="update")
    assert (refused.status_code, refused.get_json()["code"]) == (422, "idempotency-key-reused")
    assert count(database, Contact, Job, JobFile) == [1, 2, 1]


def test_an_upload_is_the_same_whatever_its_boundary_order_and_file_name(user: User) -> None:
    file = '; name="file"; filename="{}"\r\nContent-Type: text/csv\r\n\r\nname\nAda\n'
    text = '; name="on_conflict"\r\n\r\nskip'

    def send(boundary: str, *parts: str) -> TestResponse:
        body = "".join(f"--{boundary}\r\nContent-Disposition: form-data{part}\r\n" for part in parts)
        content_type = f"multipart/form-data; boundary={boundary}"
        response: TestResponse = user.post(
            IMPORTS, data=f"{body}--{boundary}--\r\n", content_type=content_type, headers=key_of("key")
        )
        return response

    first = send("one", file.format("a.csv"), text)
    assert first.status_code == 202
    assert_replays(send("another", text, file.format("b.csv")), first)


def test_a_file_and_a_text_cannot_stand_for_one_another(user: User) -> None:
    assert start_import(user, "key", b"name\n", mapping="{}").status_code == 202
    assert start_import(user, "key", b"name\n", mapping="{ }").status_code == 422


def test_a_refused_request_may_use_its_key_again_once_it_is_mended(user: User, database: Database) -> None:
    create(user, None)
    assert create(user, "key").get_json()["code"] == "contact-exists"
    assert create(user, "key", {"name": ""}).get_json()["code"] == "validation-failed"
    first = create(user, "key", {"name": "Eve"})
    assert first.status_code == 201
    assert_replays(create(user, "key", {"name": "Eve"}), first)
    assert count(database, Contact, idempotency_keys) == [2, 1]


def test_an_answer_stays_what_it_was(user: User) -> None:
    first = create(user, "key")
    user.patch(first.headers["Location"], json={"name": "Eve"})
    assert_replays(create(user, "key"), first)
    user.delete(first.headers["Location"])
    assert_replays(create(user, "key"), first)


def test_after_seven_days_a_key_is_new(user: User, database: Database) -> None:
    body = {"name": "Ada"}
    first = create(user, "key", body)
    age(database, KEPT - timedelta(minutes=5))
    assert_replays(create(user, "key", body), first)
    age(database, KEPT)
    again = create(user, "key", body)
    assert (again.status_code, "Idempotent-Replayed" in again.headers) == (201, False)
    assert_replays(create(user, "key", body), again)
    assert count(database, Contact, idempotency_keys) == [2, 1]


def age(database: Database, by: timedelta) -> None:
    with database.statements() as session:
        session.execute(update(idempotency_keys).values(created_at=utc_now() - by))


@pytest.mark.parametrize("key", ["", "x" * 256, "ключ"])
def test_an_odd_key_is_refused_before_anything_is_read(user: User, database: Database, key: str) -> None:
    for send in (create, start_export, start_import):
        refused = send(user, key.encode().decode("latin-1"))
        assert (refused.status_code, refused.get_json()["code"]) == (400, "invalid-idempotency-key")
    assert count(database, Contact, Job, JobFile) == [0, 0, 0]


def test_a_token_is_asked_for_before_an_answer_is_repeated(app: Flask, user: User) -> None:
    create(user, "key")
    assert app.test_client().post(CONTACTS, json=ADA, headers=key_of("key")).status_code == 401
    refused = user.post(CONTACTS, json=ADA, headers=key_of("key"), scopes=("contacts:read",))
    assert refused.status_code == 403


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_a_key_costs_two_statements_and_none_costs_none(app: Flask, user: User, database: Database) -> None:
    app.extensions["database"].warm()

    def kinds(request: Callable[[], TestResponse]) -> dict[str, int]:
        with statements(database) as counted:
            assert request().status_code in {201, 202}
        return dict(counted.kinds)

    plain = {"begin": 1, "insert": 1, "commit": 1}
    body = {"name": "Ada"}
    assert kinds(lambda: create(user, None, body)) == plain
    assert kinds(lambda: create(user, "key", body)) == {**plain, "insert": 2, "update": 1}
    assert kinds(lambda: create(user, "key", body)) == {"begin": 1, "insert": 1, "select": 1, "rollback": 1}
    accepted = {"begin": 1, "insert_select": 1, "commit": 1}
    assert kinds(lambda: start_export(user, None)) == {"insert_select": 1}
    assert kinds(lambda: start_export(user, "key")) == {**accepted, "insert": 1, "update": 1}
    without, with_key = kinds(lambda: start_import(user, None)), kinds(lambda: start_import(user, "key"))
    assert sum(with_key.values()) - sum(without.values()) == 2
