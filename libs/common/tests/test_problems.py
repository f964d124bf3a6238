"""Every failure is problem details (RFC 9457), whatever its status and wherever it happens."""

from collections.abc import Callable
from typing import Any

import pytest
from common.access import public
from common.errors import DomainError, FieldError, FieldErrors
from common.problems import Problem, http_problem, install_problems
from common.redprint import Redprint
from flask import Flask, Response, abort, redirect
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException, ServiceUnavailable, TooManyRequests
from werkzeug.test import TestResponse

MakeClient = Callable[..., FlaskClient]
MEMBERS = {"type", "title", "status", "detail", "instance", "code", "trace_id"}


class OutOfStock(DomainError):
    """There is none left."""


class TooFast(DomainError):
    retry_after_seconds = 1.2


class MuchTooFast(TooFast):
    """A subclass the table does not name."""


class NotYours(DomainError):
    pass


PROBLEMS = {
    OutOfStock: Problem(409, "out-of-stock", "Out of stock"),
    TooFast: Problem(429, "too-fast", "Too fast"),
    NotYours: Problem(401, "not-yours", "Not yours"),
}


@pytest.fixture
def fail(make_client: MakeClient) -> Callable[[Callable[[], Any]], TestResponse]:
    """Ask a route that does what it is given."""

    def ask(action: Callable[[], Any]) -> TestResponse:
        items = Redprint("items")
        items.get("", access=public, endpoint="act")(action)
        return make_client(items, problems=PROBLEMS).get("/api/v1/items")

    return ask


def raising(error: Exception) -> Callable[[], None]:
    def action() -> None:
        raise error

    return action


def body_of(answer: TestResponse) -> dict[str, Any]:
    assert answer.content_type == "application/problem+json"
    body: dict[str, Any] = answer.json
    assert set(body) >= MEMBERS
    assert body["status"] == answer.status_code
    assert body["type"] == f"urn:redprint:problem:{body['code']}"
    return body


def test_a_domain_error_becomes_its_problem(fail: Any) -> None:
    body = body_of(fail(raising(OutOfStock("No ink is left."))))
    assert body | {"trace_id": ""} == {
        "type": "urn:redprint:problem:out-of-stock",
        "title": "Out of stock",
        "status": 409,
        "detail": "No ink is left.",
        "instance": "/api/v1/items",
        "code": "out-of-stock",
        "trace_id": "",
    }


def test_an_error_without_words_is_described_by_its_title(fail: Any) -> None:
    assert body_of(fail(raising(OutOfStock())))["detail"] == "Out of stock"


def test_field_errors_are_listed(fail: Any) -> None:
    body = body_of(fail(raising(FieldErrors([FieldError("cursor", "invalid", "It is no cursor.")]))))
    assert (body["status"], body["code"]) == (422, "validation-failed")
    assert body["errors"] == [{"field": "cursor", "code": "invalid", "message": "It is no cursor."}]


@pytest.mark.parametrize("error", [TooFast("Wait."), MuchTooFast("Wait.")])
def test_what_may_be_tried_again_says_when_in_whole_seconds(fail: Any, error: Exception) -> None:
    answer = fail(raising(error))
    assert (body_of(answer)["code"], answer.headers["Retry-After"]) == ("too-fast", "2")


def test_every_401_carries_a_challenge(fail: Any) -> None:
    for action in (raising(NotYours("No.")), lambda: abort(401)):
        answer = fail(action)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="redprint"'


@pytest.mark.parametrize("status", [400, 403, 404, 406, 409, 410, 412, 413, 414, 415, 416, 422, 428, 429, 501, 503])
def test_every_status_is_a_problem(fail: Any, status: int) -> None:
    body = body_of(fail(lambda: abort(status)))
    assert body["status"] == status
    assert body["detail"]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (404, "not-found"),
        (405, "method-not-allowed"),
        (413, "content-too-large"),
        (414, "uri-too-long"),
        (415, "unsupported-media-type"),
        (422, "unprocessable-content"),
        (500, "internal-server-error"),
    ],
)
def test_a_status_has_one_code_on_every_python(status: int, code: str) -> None:
    assert http_problem(status).code == code


def test_an_address_that_is_not_there_is_404(make_client: MakeClient) -> None:
    body = body_of(make_client().get("/nowhere"))
    assert (body["code"], body["instance"]) == ("not-found", "/nowhere")
    assert "entered the URL manually" not in body["detail"]


def test_a_405_keeps_its_list_of_methods(make_client: MakeClient) -> None:
    items = Redprint("items")
    items.get("", access=public, endpoint="all")(lambda: None)
    answer = make_client(items).post("/api/v1/items")
    assert body_of(answer)["code"] == "method-not-allowed"
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("method", ["PROPFIND", "TRACE", "FOO"])
def test_a_method_nobody_knows_is_405(make_client: MakeClient, method: str) -> None:
    assert body_of(make_client().open("/livez", method=method))["code"] == "method-not-allowed"


def test_own_words_of_an_http_error_are_kept(fail: Any) -> None:
    assert body_of(fail(lambda: abort(404, "No such shelf.")))["detail"] == "No such shelf."


@pytest.mark.parametrize("error", [ServiceUnavailable(retry_after=5), TooManyRequests(retry_after=5)])
def test_retry_after_of_an_http_error_is_kept(fail: Any, error: HTTPException) -> None:
    answer = fail(raising(error))
    assert answer.headers["Retry-After"] == "5"
    assert answer.headers.get_all("Content-Type") == ["application/problem+json"]


def test_an_aborted_response_goes_out_as_it_is(fail: Any) -> None:
    answer = fail(lambda: abort(Response("as is", 418)))
    assert (answer.status_code, answer.text) == (418, "as is")


def test_a_redirect_is_no_problem(fail: Any) -> None:
    answer = fail(lambda: abort(redirect("/elsewhere")))
    assert (answer.status_code, answer.headers["Location"]) == (302, "/elsewhere")


@pytest.mark.parametrize("error", [RuntimeError("s3cret: SELECT"), DomainError("s3cret"), KeyError("s3cret")])
def test_an_unforeseen_error_is_500_logged_and_leaks_nothing(
    fail: Any, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = fail(raising(error))
    body = body_of(answer)
    assert (body["status"], body["code"]) == (500, "internal-server-error")
    assert "s3cret" not in answer.text
    (line,) = capsys.readouterr().out.splitlines()
    assert '"event":"unhandled_exception"' in line
    assert body["trace_id"] in line
    assert type(error).__name__ in line


def test_the_problem_carries_the_trace_of_the_request(make_client: MakeClient) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = make_client().get("/nowhere", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    assert body_of(answer)["trace_id"] == trace


def test_problems_work_without_the_middleware() -> None:
    app = Flask(__name__)
    install_problems(app, {})
    assert len(body_of(app.test_client().get("/nowhere"))["trace_id"]) == 32


def test_a_path_of_odd_bytes_is_told_as_text(make_client: MakeClient) -> None:
    assert body_of(make_client().get("/%ff%00%f0%9f%8e%89"))["status"] == 404
