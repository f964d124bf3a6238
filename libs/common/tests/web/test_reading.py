"""What a body and a query may be, and what is said of those that are not."""

import io
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from common.access import public
from common.redprint import Redprint
from common.web.shapes import Shape, View
from flask import Flask, request
from flask.testing import FlaskClient
from flask.views import MethodView
from gunicorn.http.errors import ChunkMissingTerminator, InvalidChunkSize
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, field_validator
from werkzeug.test import TestResponse

MakeClient = Callable[..., FlaskClient]


class Address(Shape):
    city: str = ""


class ItemIn(Shape):
    name: Annotated[str, Field(min_length=1, max_length=20)]
    count: int = 0
    price: float = 0.0
    owner: UUID | None = None
    bought: date | None = None
    tags: list[str] = Field(default_factory=list)
    address: Address = Address()

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if name == "bad":
            raise ValueError("has to be good")
        return name


class ItemsQuery(Shape):
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    sort: Literal["name", "created"] = "created"
    exact: bool = False
    owner: UUID | None = None
    tag: list[str] = Field(default_factory=list)


class Echo(View):
    got: dict[str, Any]


items = Redprint("items")


@items.post("", access=public, body=ItemIn, response=Echo)
def add_item(body: ItemIn) -> Echo:
    return Echo(got=body.model_dump(mode="json"))


@items.get("", access=public, query=ItemsQuery, response=Echo)
def list_items(query: ItemsQuery) -> Echo:
    return Echo(got=query.model_dump(mode="json"))


@items.get("/plain", access=public)
def show_plain() -> None:
    """Take nothing."""


@items.delete("/plain", access=public, body=ItemIn, response=Echo)
def delete_plain(body: ItemIn) -> Echo:
    return Echo(got={"name": body.name})


def _import_limit(app: Flask) -> int:
    return int(app.config["IMPORT_LIMIT"])


@items.post("/large", access=public, max_body_bytes=5000, response=Echo)
def take_large() -> Echo:
    return Echo(got={"size": len(request.get_data())})


@items.route("/viewed", access=public, body=ItemIn, response=Echo)
class Viewed(MethodView):
    def get(self) -> Echo:
        return Echo(got={})

    def post(self, body: ItemIn) -> Echo:
        return Echo(got={"name": body.name})


@pytest.fixture
def client(make_client: MakeClient) -> FlaskClient:
    return make_client(items, env={"BODY_LIMIT_BYTES": "2000"})


def post(client: FlaskClient, body: bytes | str, content_type: str | None = "application/json") -> TestResponse:
    return client.post("/api/v1/items", data=body, content_type=content_type)


def refusal(answer: TestResponse) -> tuple[int, str]:
    assert answer.content_type == "application/problem+json"
    return answer.status_code, answer.json["code"]


def fields_of(answer: TestResponse) -> dict[str, str]:
    assert refusal(answer) == (422, "validation-failed")
    assert all(set(error) == {"field", "code", "message"} for error in answer.json["errors"])
    return {error["field"]: error["code"] for error in answer.json["errors"]}


def test_a_body_becomes_the_handlers_argument(client: FlaskClient) -> None:
    body = {
        "name": "Zoë",
        "count": 3,
        "price": 1,
        "owner": "019284ab-0000-7000-8000-000000000001",
        "bought": "2024-02-29",
        "tags": ["a"],
        "address": {"city": "Malmö"},
    }
    assert client.post("/api/v1/items", json=body).json["got"] == body | {"price": 1.0}


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "application/merge-patch+json"])
def test_json_may_be_declared_with_more_words(client: FlaskClient, content_type: str) -> None:
    assert post(client, '{"name":"x"}', content_type).status_code == 200


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "json", "*/*"])
def test_another_or_no_content_type_is_415(client: FlaskClient, content_type: str | None) -> None:
    assert refusal(post(client, '{"name":"x"}', content_type)) == (415, "unsupported-media-type")


def test_an_encoded_body_is_415(client: FlaskClient) -> None:
    answer = client.post(
        "/api/v1/items", data=b"\x1f\x8b", content_type="application/json", headers={"Content-Encoding": "gzip"}
    )
    assert refusal(answer) == (415, "unsupported-media-type")


MALFORMED = {
    "empty": b"",
    "blank": b"  ",
    "cut off": b'{"name":"x"',
    "two texts": b'{"name":"x"}{}',
    "single quotes": b"{'name':'x'}",
    "a comma too many": b'{"name":"x",}',
    "not UTF-8": b'{"name":"\xff"}',
    "UTF-16": '{"name":"x"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"name":"x"}',
    "a lone surrogate": b'{"name":"\\ud800"}',
    "a control character": b'{"name":"a\nb"}',
    "a name twice": b'{"name":"x","name":"y"}',
    "a name twice, deep down": b'{"name":"x","address":{"city":"a","city":"b"}}',
    "NaN": b'{"name":"x","price":NaN}',
    "Infinity": b'{"name":"x","price":-Infinity}',
    "too deep": b"[" * 1900,
    "a number of two thousand digits": b'{"name":"x","count":' + b"9" * 1900 + b"x}",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_not_json_is_400(client: FlaskClient, body: bytes) -> None:
    assert refusal(post(client, body)) == (400, "malformed-json")


FAULTS = {
    b'{"name":"x",\n "count" 3}': "The body is not JSON: Expecting ':' delimiter: line 2 column 10 (char 22).",
    b"": "The body is not JSON: Expecting value: line 1 column 1 (char 0).",
    b'{"name":"\xff"}': "The body is not UTF-8: see its byte 9.",
    b'{"name":"\\ud800"}': "The body is not JSON: unexpected end of hex escape at line 1 column 16.",
    b'{"name":"x","name":"y"}': "The body holds an object with the name 'name' twice.",
    b'{"\\ud800":1,"\\ud800":2}': "The body holds an object with the name '\\ud800' twice.",
    b'{"name":"x","price":NaN}': "The body holds NaN, which is not JSON.",
    b'{"count":' + b"9" * 5000 + b"}": "The body holds a number of too many digits.",
    b"[" * 100_000: "The body is nested too deep.",
    b"[" * 300 + b"]" * 300: "The body is not JSON: recursion limit exceeded at line 1 column 202.",
}


@pytest.mark.parametrize(("body", "detail"), FAULTS.items(), ids=range(len(FAULTS)))
def test_what_is_wrong_with_json_is_said_with_its_place(make_client: MakeClient, body: bytes, detail: str) -> None:
    answer = post(make_client(items), body)
    assert refusal(answer) == (400, "malformed-json")
    assert answer.json["detail"] == detail


@pytest.mark.parametrize("body", ["[]", '"x"', "1", "null", "true"])
def test_json_that_is_no_object_is_422(client: FlaskClient, body: str) -> None:
    assert fields_of(post(client, body)) == {"body": "model-type"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{}", {"name": "missing"}),
        ('{"name":1}', {"name": "string-type"}),
        ('{"name":null}', {"name": "string-type"}),
        ('{"name":""}', {"name": "string-too-short"}),
        ('{"name":"bad"}', {"name": "value-error"}),
        ('{"name":"x","count":"1"}', {"count": "int-type"}),
        ('{"name":"x","count":true}', {"count": "int-type"}),
        ('{"name":"x","count":1.5}', {"count": "int-type"}),
        ('{"name":"x","price":1e999}', {"price": "finite-number"}),
        ('{"name":"x","tags":"a"}', {"tags": "list-type"}),
        ('{"name":"x","tags":["a",1]}', {"tags.1": "string-type"}),
        ('{"name":"x","owner":"nobody"}', {"owner": "uuid-parsing"}),
        ('{"name":"x","bought":"2023-02-29"}', {"bought": "date-parsing"}),
        ('{"name":"x","colour":"red"}', {"colour": "extra-forbidden"}),
        ('{"name":"x","address":{"town":"y"}}', {"address.town": "extra-forbidden"}),
        ('{"count":"1","colour":"red"}', {"name": "missing", "count": "int-type", "colour": "extra-forbidden"}),
    ],
)
def test_every_fault_of_a_body_is_named_by_its_field(client: FlaskClient, body: str, expected: dict[str, str]) -> None:
    assert fields_of(post(client, body)) == expected


def test_a_rules_own_words_reach_the_client_without_pydantics(client: FlaskClient) -> None:
    assert post(client, '{"name":"bad"}').json["errors"][0]["message"] == "has to be good"


def test_a_refused_value_is_not_repeated(client: FlaskClient) -> None:
    assert "hunter2" not in post(client, '{"name":"x","count":"hunter2"}').text


def test_a_flood_of_faults_is_cut_off(make_client: MakeClient) -> None:
    body = "{" + ",".join(f'"f{number}":1' for number in range(2000)) + "}"
    assert len(post(make_client(items), body).json["errors"]) == 50


def test_a_body_over_the_limit_is_413(client: FlaskClient) -> None:
    assert refusal(post(client, b" " * 1990 + b"{}")) == (422, "validation-failed")
    answer = post(client, b" " * 2000 + b"{}")
    assert refusal(answer) == (413, "content-too-large")
    assert answer.json["detail"] == "The body is larger than the 2000 bytes this address takes."


def test_a_body_of_unknown_length_over_the_limit_is_413(client: FlaskClient) -> None:
    def chunked(size: int) -> TestResponse:
        body = b" " * (size - 12) + b'{"name":"x"}'
        environ = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
        return client.post(
            "/api/v1/items", input_stream=io.BytesIO(body), content_type="application/json", environ_overrides=environ
        )

    assert chunked(1999).status_code == 200
    assert refusal(chunked(2000)) == (413, "content-too-large")
    assert refusal(chunked(5000)) == (413, "content-too-large")


@pytest.mark.parametrize("path", ["/api/v1/items", "/api/v1/items/large"])
def test_a_body_that_breaks_off_is_400_and_no_shorter_body(client: FlaskClient, path: str) -> None:
    environ = {"wsgi.input_terminated": True, "CONTENT_LENGTH": "100"}  # as gunicorn has it
    answer = client.post(
        path, input_stream=io.BytesIO(b'{"name":"x"}'), content_type="application/json", environ_overrides=environ
    )
    assert refusal(answer) == (400, "bad-request")
    assert "ended too early" in answer.json["detail"]


@pytest.mark.parametrize("error", [InvalidChunkSize(b"zz"), ChunkMissingTerminator(b"x"), ConnectionResetError()])
def test_a_body_the_server_cannot_read_is_400(client: FlaskClient, error: Exception) -> None:
    class Broken:
        def read(self, size: int) -> bytes:
            raise error

    environ = {"wsgi.input": Broken(), "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    answer = client.post("/api/v1/items", content_type="application/json", environ_overrides=environ)
    assert refusal(answer) == (400, "bad-request")


def test_a_route_may_lift_the_limit_for_itself(client: FlaskClient) -> None:
    def send(size: int) -> TestResponse:
        return client.post("/api/v1/items/large", data=b"x" * size)

    assert send(5000).json["got"] == {"size": 5000}
    assert refusal(send(5001)) == (413, "content-too-large")


def test_the_limit_of_a_route_may_depend_on_the_application(make_app: Callable[..., Flask]) -> None:
    imports = Redprint("imports")

    @imports.post("", access=public, max_body_bytes=lambda app: app.extensions["settings"].body_limit_bytes + 1)
    def take_import() -> None:
        request.get_data()

    client = make_app(imports, env={"BODY_LIMIT_BYTES": "1024"}).test_client()
    assert client.post("/api/v1/imports", data=b"x" * 1025).status_code == 204
    assert client.post("/api/v1/imports", data=b"x" * 1026).status_code == 413


def test_a_body_nobody_declared_is_not_looked_at(client: FlaskClient) -> None:
    assert client.get("/api/v1/items/plain", data=b"x" * 9999).status_code == 204


def test_a_delete_may_have_a_body_of_its_own(client: FlaskClient) -> None:
    assert client.delete("/api/v1/items/plain", json={"name": "x"}).json["got"] == {"name": "x"}
    assert refusal(client.delete("/api/v1/items/plain")) == (415, "unsupported-media-type")


def test_a_method_view_gets_the_body_where_there_is_one(client: FlaskClient) -> None:
    assert client.get("/api/v1/items/viewed").json["got"] == {}
    assert client.post("/api/v1/items/viewed", json={"name": "x"}).json["got"] == {"name": "x"}


def test_a_query_becomes_the_handlers_argument(client: FlaskClient) -> None:
    answer = client.get(
        "/api/v1/items?limit=5&sort=name&exact=true&tag=a&tag=b%20c&owner=019284ab-0000-7000-8000-000000000001"
    )
    assert answer.json["got"] == {
        "limit": 5,
        "sort": "name",
        "exact": True,
        "owner": "019284ab-0000-7000-8000-000000000001",
        "tag": ["a", "b c"],
    }


def test_an_empty_query_is_all_defaults(client: FlaskClient) -> None:
    expected = {"limit": 20, "sort": "created", "exact": False, "owner": None, "tag": []}
    assert client.get("/api/v1/items").json["got"] == expected
    assert client.get("/api/v1/items?").json["got"] == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=0", {"limit": "greater-than-equal"}),
        ("limit=101", {"limit": "less-than-equal"}),
        ("limit=many", {"limit": "int-parsing"}),
        ("limit=", {"limit": "int-parsing"}),
        ("limit=1&limit=2", {"limit": "repeated"}),
        ("sort=colour", {"sort": "literal-error"}),
        ("owner=me", {"owner": "uuid-parsing"}),
        ("limit%00=1", {"limit\0": "extra-forbidden"}),
        ("colour=red", {"colour": "extra-forbidden"}),
        ("limit=0&colour=red", {"limit": "greater-than-equal", "colour": "extra-forbidden"}),
    ],
)
def test_every_fault_of_a_query_is_named_by_its_parameter(
    client: FlaskClient, query: str, expected: dict[str, str]
) -> None:
    assert fields_of(client.get(f"/api/v1/items?{query}")) == expected


@pytest.mark.parametrize("path", ["/api/v1/items", "/api/v1/items/plain"])
def test_a_query_that_is_not_utf_8_is_400(client: FlaskClient, path: str) -> None:
    answer = client.get(path, environ_overrides={"QUERY_STRING": "limit=\xff"})
    assert refusal(answer) == (400, "bad-request")


def test_a_route_without_a_query_takes_none(client: FlaskClient) -> None:
    assert fields_of(client.get("/api/v1/items/plain?limit=1")) == {"limit": "extra-forbidden"}


@settings(max_examples=150)
@given(body=st.binary(max_size=60), query=st.binary(max_size=40))
def test_no_bytes_at_all_make_it_fail(client: FlaskClient, body: bytes, query: bytes) -> None:
    assert post(client, body).status_code in {200, 400, 422}
    answer = client.get("/api/v1/items", environ_overrides={"QUERY_STRING": query.decode("latin-1")})
    assert answer.status_code in {200, 400, 422}
