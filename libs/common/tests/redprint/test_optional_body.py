"""A route whose body may be left out, and one that may not."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from common.access import public
from common.redprint import Redprint, RedprintError, registered_routes
from common.web.shapes import Shape, View
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse


class Choice(Shape):
    name: str | None = None


class Echo(View):
    got: str


items = Redprint("items")


@items.post("", access=public, body=Choice, body_required=False, response=Echo)
def choose(body: Choice | None) -> Echo:
    return Echo(got="nothing" if body is None else str(body.name))


@items.post("/strict", access=public, body=Choice, response=Echo)
def choose_strictly(body: Choice) -> Echo:
    return Echo(got=str(body.name))


@pytest.fixture
def client(make_client: Callable[..., FlaskClient]) -> FlaskClient:
    return make_client(items, env={"BODY_LIMIT_BYTES": "2000"})


def post_chunked(client: FlaskClient, body: bytes, **options: Any) -> TestResponse:
    """As gunicorn hands on a body without a declared length: it ends the stream itself."""
    return client.post(
        "/api/v1/items", input_stream=io.BytesIO(body), environ_overrides={"wsgi.input_terminated": True}, **options
    )


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain"])
def test_without_a_body_the_handler_gets_none_whatever_its_type(client: FlaskClient, content_type: str | None) -> None:
    for answer in (
        client.post("/api/v1/items", content_type=content_type),
        client.post("/api/v1/items", data=b"", content_type=content_type),
        post_chunked(client, b"", content_type=content_type),
    ):
        assert (answer.status_code, answer.json) == (200, {"got": "nothing"})


def test_a_body_is_read_as_any_other(client: FlaskClient) -> None:
    assert client.post("/api/v1/items", json={"name": "red"}).json == {"got": "red"}
    assert client.post("/api/v1/items", json={}).json == {"got": "None"}
    assert post_chunked(client, b'{"name": "red"}', content_type="application/json").json == {"got": "red"}


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"{}", None, 415),
        (b"{", "application/json", 400),
        (b" ", "application/json", 400),
        (b"null", "application/json", 422),
        (b'{"name": 1}', "application/json", 422),
        (b'{"colour": "red"}', "application/json", 422),
        (b" " * 2001, "application/json", 413),
    ],
)
def test_a_body_that_is_there_has_to_be_right(
    client: FlaskClient, body: bytes, content_type: str | None, status: int
) -> None:
    assert client.post("/api/v1/items", data=body, content_type=content_type).status_code == status
    assert post_chunked(client, body, content_type=content_type).status_code == status


def test_where_it_is_required_an_empty_body_is_refused(client: FlaskClient) -> None:
    assert client.post("/api/v1/items/strict").status_code == 415
    assert client.post("/api/v1/items/strict", content_type="application/json").status_code == 400


def test_the_registry_says_which_bodies_are_required(make_app: Callable[..., Flask]) -> None:
    found = {entry.endpoint: entry.body_required for entry in registered_routes(make_app(items)) if entry.body}
    assert found == {"v1.items.choose": False, "v1.items.choose_strictly": True}


def test_no_body_cannot_be_optional() -> None:
    def choose() -> None:
        """Choose."""

    with pytest.raises(RedprintError, match="body_required=False"):
        Redprint("items").post("", access=public, body_required=False)(choose)
