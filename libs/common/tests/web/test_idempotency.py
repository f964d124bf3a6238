"""Idempotency-Key on a route: which keys are taken, what is repeated, and what a handler has to do for it."""

from collections.abc import Callable
from typing import Any

import pytest
from common.access import user
from common.db import Database, WriteSession
from common.errors import DomainError
from common.idempotency import metadata
from common.idempotency.table import idempotency_keys
from common.ids import new_id
from common.problems import Problem
from common.redprint import Redprint, registered_routes
from common.testing.databases import Schema
from common.web.idempotency import write_once
from common.web.shapes import Shape, View
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response

PATH = "/api/v1/notes"


class Note(Shape):
    text: str


class NoteView(View):
    id: int
    text: str


class Refused(DomainError):
    """Notes that say no are refused."""


class Notes:
    """Handlers that count what they do; nothing but the key is written."""

    def __init__(self) -> None:
        self.done = 0
        self.redprint = Redprint("notes")
        options: Any = {"access": user, "idempotent": True}
        self.redprint.post("", body=Note, response=NoteView, status=201, **options)(self.create_note)
        self.redprint.post("/<int:folder>", body=Note, response=NoteView, **options)(self.file_note)
        self.redprint.post("/lost", body=Note, **options)(self.lose_note)
        self.redprint.post("/raw", **options)(self.take_raw)
        self.redprint.post("/nothing", **options)(self.do_nothing)
        self.redprint.post("/plain", body=Note, access=user)(self.write_plainly)

    def create_note(self, body: Note) -> Response:
        return write_once(lambda session: self._add(session, body.text))

    def file_note(self, folder: int, body: Note) -> Response:
        return write_once(lambda session: self._add(session, f"{body.text} in {folder}"))

    def lose_note(self, body: Note) -> None:
        """Forget to write."""

    def take_raw(self) -> Response:
        return write_once(lambda session: self._add(session, "raw"))

    def do_nothing(self) -> Response:
        return write_once(lambda _: None, content_hash=b"")

    def write_plainly(self, body: Note) -> Response:
        return write_once(lambda session: self._add(session, body.text))

    def _add(self, session: WriteSession, text: str) -> tuple[NoteView, int, dict[str, str]]:
        if text == "no":
            raise Refused("No.")
        self.done += 1
        session.commit()
        return NoteView(id=self.done, text=text), 201, {"Location": f"{PATH}/{self.done}", "ETag": '"1"'}


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def database(make_database: Callable[[Schema], Database]) -> Database:
    return make_database((metadata,))


@pytest.fixture
def app(make_app: Callable[..., Flask], notes: Notes, database: Database) -> Flask:
    return make_app(notes.redprint, database=database, problems={Refused: Problem(409, "refused", "Refused")})


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def post(client: FlaskClient, tokens: Any) -> Callable[..., TestResponse]:
    """Post a note with a key as the user of the test, or another."""

    def send(text: str, key: str | None, path: str = "", user_id: Any = tokens.user_id) -> TestResponse:
        headers = {"Authorization": tokens.add(f"token of {user_id}".replace(" ", "-"), user_id=user_id)}
        if key is not None:
            headers["Idempotency-Key"] = key
        return client.post(PATH + path, json={"text": text}, headers=headers)

    return send


def count(database: Database) -> int:
    with database.read() as session:
        return session.scalars(select(func.count()).select_from(idempotency_keys)).one()


def test_a_repeated_request_is_done_once_and_answered_alike(post: Any, notes: Notes) -> None:
    first, second = post("a", "key"), post("a", "key")
    assert (first.status_code, first.get_json()) == (201, {"id": 1, "text": "a"})
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert (second.status_code, second.data, notes.done) == (201, first.data, 1)
    for name in ("Location", "ETag", "Content-Type", "Content-Length"):
        assert second.headers[name] == first.headers[name]


def test_without_a_key_each_request_is_done_and_no_key_is_kept(post: Any, notes: Notes, database: Database) -> None:
    assert [post("a", None).status_code for _ in range(2)] == [201, 201]
    assert (notes.done, count(database)) == (2, 0)


def test_another_key_or_user_is_another_request(post: Any, notes: Notes) -> None:
    answers = [post("a", "one"), post("a", "two"), post("a", "one", user_id=new_id())]
    assert [answer.get_json()["id"] for answer in answers] == [1, 2, 3]


def test_another_body_or_address_with_the_same_key_is_refused(post: Any, notes: Notes) -> None:
    assert post("a", "key", "/1").status_code == 201
    for text, path in (("b", "/1"), ("a", "/2")):
        answer = post(text, "key", path)
        assert (answer.status_code, answer.get_json()["code"]) == (422, "idempotency-key-reused")
    assert post("a", "key").status_code == 201  # another route
    assert notes.done == 2


def test_a_refused_request_leaves_its_key_to_the_mended_one(post: Any, notes: Notes, database: Database) -> None:
    assert [post("no", "key").status_code for _ in range(2)] == [409, 409]
    assert count(database) == 0
    assert [post("yes", "key").status_code for _ in range(2)] == [201, 201]
    assert notes.done == 1


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "schlüssel", "a\x7f", "a\tb"])
def test_a_key_that_is_empty_too_long_or_not_printable_is_refused(post: Any, notes: Notes, key: str) -> None:
    answer = post("a", key)
    assert (answer.status_code, answer.get_json()["code"], notes.done) == (400, "invalid-idempotency-key", 0)


@pytest.mark.parametrize("key", ["x" * 255, "!", "~ ~", '"8e03978e"', "a,b", "%00", "🔑".encode().hex()])
def test_every_other_key_is_taken_as_it_is(post: Any, key: str) -> None:
    assert post("a", key).status_code == 201
    assert post("a", f" {key} ").headers["Idempotent-Replayed"] == "true"
    for other in (f"{key}." if len(key) < 255 else key[1:], key.swapcase() if key != key.swapcase() else "?"):
        assert post("a", other).get_json()["id"] > 1


def test_an_answer_without_a_body_is_repeated_without_one(post: Any, database: Database) -> None:
    """Nothing was committed either, so there is no key to keep."""
    assert [post("a", "key", "/nothing").status_code for _ in range(2)] == [204, 204]
    assert count(database) == 0


@pytest.mark.parametrize(("path", "word"), [("/lost", "does not use write_once"), ("/raw", "needs content_hash=")])
def test_a_handler_that_makes_a_key_mean_nothing_fails(
    post: Any, path: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert post("a", "key", path).status_code == 500
    assert word in capsys.readouterr().out


def test_write_once_is_for_routes_that_say_so(post: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert post("a", "key", "/plain").status_code == 500
    assert "idempotent=True" in capsys.readouterr().out


@pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)
def test_the_registry_tells_which_routes_take_keys(app: Flask) -> None:
    taking = {entry.rule for entry in registered_routes(app) if entry.idempotent}
    assert taking == {PATH + path for path in ("", "/<int:folder>", "/lost", "/raw", "/nothing")}
