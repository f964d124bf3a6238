"""What a handler returns, and what of it reaches the client."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from common.access import public
from common.redprint import Deprecation, Redprint
from common.web.shapes import Timestamp, View
from flask import Blueprint, Response
from flask.testing import FlaskClient

MakeClient = Callable[..., FlaskClient]


class Item(View):
    name: str
    made_at: Timestamp = datetime(2024, 5, 1, 12, 0, 0, 250000, tzinfo=UTC)


class Other(View):
    name: str


def returning(result: Any, **options: Any) -> Redprint:
    """A Redprint with one route that returns `result`."""
    items = Redprint("items")

    @items.get("", access=public, **options)
    def show() -> Any:
        return result

    return items


def test_a_model_is_sent_with_the_routes_status(make_client: MakeClient) -> None:
    answer = make_client(returning(Item(name="Zoë"), response=Item, status=201)).get("/api/v1/items")
    assert (answer.status_code, answer.content_type) == (201, "application/json")
    assert answer.get_data() == '{"name":"Zoë","made_at":"2024-05-01T12:00:00.250000Z"}'.encode()


def test_a_subclass_of_the_declared_shape_is_sent_whole(make_client: MakeClient) -> None:
    class Detailed(Item):
        colour: str = "red"

    answer = make_client(returning(Detailed(name="x"), response=Item)).get("/api/v1/items")
    assert answer.json["colour"] == "red"


def test_a_tuple_adds_a_status_and_headers(make_client: MakeClient) -> None:
    result = (Item(name="x"), 202, {"Location": "/elsewhere"})
    answer = make_client(returning(result, response=Item)).get("/api/v1/items")
    assert (answer.status_code, answer.headers["Location"], answer.json["name"]) == (202, "/elsewhere", "x")


def test_a_tuple_may_leave_the_headers_out(make_client: MakeClient) -> None:
    assert make_client(returning((Item(name="x"), 202), response=Item)).get("/api/v1/items").status_code == 202


@pytest.mark.parametrize(("status", "sent"), [(200, 204), (202, 202), (205, 205)])
def test_nothing_is_204_unless_the_route_says_more(make_client: MakeClient, status: int, sent: int) -> None:
    answer = make_client(returning(None, status=status)).get("/api/v1/items")
    assert (answer.status_code, answer.get_data()) == (sent, b"")
    assert "Content-Type" not in answer.headers


def test_nothing_may_have_headers_too(make_client: MakeClient) -> None:
    answer = make_client(returning((None, 204, {"ETag": '"1"'}))).get("/api/v1/items")
    assert (answer.status_code, answer.headers["ETag"]) == (204, '"1"')


def test_a_ready_response_is_passed_on(make_client: MakeClient) -> None:
    ready = Response("a,b\n", 200, content_type="text/csv")
    answer = make_client(returning(ready)).get("/api/v1/items")
    assert (answer.content_type, answer.text) == ("text/csv", "a,b\n")


@pytest.mark.parametrize("result", [{"name": "x"}, "text", Other(name="x"), SimpleNamespace(name="x")])
@pytest.mark.parametrize("shape", [None, Item])
def test_what_was_not_declared_is_a_fault_of_ours_and_names_the_handler(
    make_client: MakeClient, capsys: pytest.CaptureFixture[str], result: object, shape: type[View] | None
) -> None:
    answer = make_client(returning(result, response=shape)).get("/api/v1/items")
    assert answer.status_code == 500
    assert "show at" in capsys.readouterr().out


def test_head_answers_as_get_without_a_body(make_client: MakeClient) -> None:
    answer = make_client(returning(Item(name="x"), response=Item)).head("/api/v1/items")
    assert (answer.status_code, answer.get_data()) == (200, b"")


def test_a_moment_of_another_zone_is_sent_in_utc() -> None:
    noon = datetime(2024, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert Item(name="x", made_at=noon).model_dump_json() == '{"name":"x","made_at":"2024-05-01T10:00:00Z"}'


def test_a_moment_of_no_zone_is_no_moment() -> None:
    with pytest.raises(ValueError, match="timezone"):
        Item(name="x", made_at=datetime(2024, 5, 1, 12))  # noqa: DTZ001 - the fault under test


def test_a_view_is_read_from_attributes() -> None:
    assert Other.model_validate(SimpleNamespace(name="x", secret="y")) == Other(name="x")


def deprecated_client(make_client: MakeClient, deprecation: Deprecation) -> FlaskClient:
    blueprint = Blueprint("v0", __name__, url_prefix="/api/v0")
    items = returning(Item(name="x"), response=Item)
    items.register(blueprint, deprecation=deprecation)
    current = Blueprint("v1", __name__, url_prefix="/api/v1")
    items.register(current)
    return make_client(blueprints=[blueprint, current])


def test_a_deprecated_mount_says_so_in_every_answer(make_client: MakeClient) -> None:
    since, sunset = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    client = deprecated_client(make_client, Deprecation(since, sunset, "https://example.org/v1"))
    headers = client.get("/api/v0/items").headers
    assert headers["Deprecation"] == "@1767225600"
    assert headers["Sunset"] == "Fri, 01 Jan 2027 00:00:00 GMT"
    assert headers["Link"] == '<https://example.org/v1>; rel="deprecation"'
    assert client.get("/api/v0/items?x=1").headers["Deprecation"] == "@1767225600"


def test_a_deprecation_may_leave_end_and_link_open_and_touches_no_other_mount(make_client: MakeClient) -> None:
    client = deprecated_client(make_client, Deprecation(datetime(2026, 1, 1, tzinfo=UTC)))
    headers = client.get("/api/v0/items").headers
    assert headers["Deprecation"] == "@1767225600"
    assert {"Sunset", "Link"}.isdisjoint(headers.keys())
    assert "Deprecation" not in client.get("/api/v1/items").headers
