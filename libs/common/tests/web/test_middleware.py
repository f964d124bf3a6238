import json
from collections.abc import Callable
from typing import Any

import pytest
from common.access import public
from common.redprint import Redprint
from common.web.context import current_request_context, current_traceparent, this_request
from common.web.shapes import View
from flask import Flask, Response, request
from flask.testing import FlaskClient

MakeClient = Callable[..., FlaskClient]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


class Seen(View):
    request_id: str
    trace_id: str
    traceparent: str
    client: str | None


items = Redprint("items")


@items.get("", access=public, response=Seen)
def show_seen() -> Seen:
    context = current_request_context()
    return Seen(
        request_id=context.request_id,
        trace_id=context.trace_id,
        traceparent=current_traceparent(),
        client=request.remote_addr,
    )


@items.get("/cached", access=public)
def show_cached() -> Response:
    return Response("x", headers={"Cache-Control": "public, max-age=300"})


@items.get("/<int:item_id>", access=public)
def show_item(item_id: int) -> None:
    """Show nothing."""


@pytest.fixture
def client(make_client: MakeClient) -> FlaskClient:
    return make_client(items, env={"LOG_LEVEL": "info"})


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_ids_a_client_sends_are_used(client: FlaskClient) -> None:
    answer = client.get("/api/v1/items", headers={"X-Request-ID": "Order-7.a_b", "traceparent": PARENT})
    assert answer.headers["X-Request-ID"] == answer.json["request_id"] == "Order-7.a_b"
    assert answer.json["trace_id"] == TRACE


@pytest.mark.parametrize("sent", ["", " ", "a b", "a" * 65, "a\tb", '{"a":1}', "ä", "a,b"])
def test_a_malformed_request_id_is_replaced(client: FlaskClient, sent: str) -> None:
    answer = client.get("/api/v1/items", headers={"X-Request-ID": sent})
    assert answer.headers["X-Request-ID"] == answer.json["trace_id"]


@pytest.mark.parametrize(
    "sent",
    [
        "",
        TRACE,
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        f"00-{TRACE}-00f067aa0ba902b7",
        f"{PARENT}-more",
        f"{PARENT},{PARENT}",
    ],
)
def test_a_malformed_traceparent_begins_a_new_trace(client: FlaskClient, sent: str) -> None:
    trace_id = client.get("/api/v1/items", headers={"traceparent": sent}).json["trace_id"]
    assert trace_id != TRACE
    assert len(trace_id) == 32


def test_a_traceparent_of_a_later_version_may_say_more(client: FlaskClient) -> None:
    sent = f"01-{TRACE}-00f067aa0ba902b7-01-more"
    assert client.get("/api/v1/items", headers={"traceparent": sent}).json["trace_id"] == TRACE


def test_the_trace_is_handed_on_with_a_parent_of_our_own(client: FlaskClient) -> None:
    version, trace, parent, flags = (
        client.get("/api/v1/items", headers={"traceparent": PARENT}).json["traceparent"].split("-")
    )
    assert (version, trace, flags) == ("00", TRACE, "01")
    assert len(parent) == 16
    assert parent != "00f067aa0ba902b7"


def test_two_requests_have_two_ids(client: FlaskClient) -> None:
    first, second = (client.get("/api/v1/items").headers["X-Request-ID"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize("path", ["/api/v1/items", "/nowhere", "/livez", "/api/v1/items?x=1"])
def test_every_answer_has_the_security_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert headers["Cache-Control"] == "no-store"


def test_a_handler_may_allow_caching(client: FlaskClient) -> None:
    headers = client.get("/api/v1/items/cached").headers
    assert headers.get_all("Cache-Control") == ["public, max-age=300"]


def test_a_request_is_one_line_in_the_log(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    answer = client.get("/api/v1/items/7", headers={"X-Request-ID": "r1"})
    (line,) = logged(capsys)
    assert answer.status_code == 204
    assert 0 <= line.pop("duration_ms") < 5000
    del line["timestamp"], line["trace_id"]
    assert line == {
        "event": "request",
        "level": "info",
        "service": "redprint",
        "method": "GET",
        "route": "/api/v1/items/<int:item_id>",
        "path": "/api/v1/items/7",
        "status": 204,
        "client": "127.0.0.1",
        "request_id": "r1",
    }


def test_the_log_holds_no_query_and_no_body(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    client.post("/api/v1/items?q=hunter2", data=b"hunter2")
    written = capsys.readouterr().out
    assert '"event":"request"' in written
    assert "hunter2" not in written


def test_an_address_that_is_not_there_has_no_route(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    client.get("/nowhere")
    (line,) = logged(capsys)
    assert (line["route"], line["status"]) == (None, 404)


def test_an_address_is_logged_as_the_text_it_is(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    client.get("/caf%C3%A9/%ff")
    assert logged(capsys)[0]["path"] == "/café/\ufffd"


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probes_leave_no_line(client: FlaskClient, capsys: pytest.CaptureFixture[str], path: str) -> None:
    client.get(path)
    assert logged(capsys) == []


def test_fields_of_one_request_are_not_on_the_next_ones_line(
    client: FlaskClient, tokens: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    client.get("/api/v1/items", headers={"traceparent": PARENT})
    client.get("/api/v1/items")
    first, second = logged(capsys)
    assert first["trace_id"] == TRACE
    assert second["trace_id"] != TRACE


@pytest.mark.parametrize(("hops", "client_address"), [("0", "127.0.0.1"), ("1", "10.0.0.2"), ("2", "10.0.0.1")])
def test_a_proxys_header_is_believed_as_far_as_was_set(make_client: MakeClient, hops: str, client_address: str) -> None:
    client = make_client(items, env={"TRUSTED_PROXIES": hops})
    answer = client.get("/api/v1/items", headers={"X-Forwarded-For": "10.0.0.1, 10.0.0.2"})
    assert answer.json["client"] == client_address


@pytest.mark.parametrize("host", ["", "a b", "[::1", "ä", "x" * 300, "a,b"])
def test_an_odd_host_fails_nothing(client: FlaskClient, host: str) -> None:
    assert client.get("/livez", headers={"Host": host}).status_code in {200, 400}
    assert client.get("/api/v1/items", headers={"Host": host}).status_code in {200, 400}


def test_a_request_made_without_the_middleware_gets_its_ids_too() -> None:
    with Flask(__name__).test_request_context(headers={"traceparent": PARENT}):
        assert current_request_context().trace_id == TRACE
        assert current_request_context() is current_request_context()
        assert this_request() is this_request()
