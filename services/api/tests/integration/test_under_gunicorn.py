"""Answers that reach a client mid-upload, from the service as it is served."""

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest
from common.ids import new_id
from common.testing.serving import status_of_get
from common.testing.tokens import TokenFor

pytestmark = pytest.mark.slow
MAX_BYTES = 8 * 1024 * 1024


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, serve: Any) -> Iterator[int]:
    """The port of a service that is ready."""
    with serve(tmp_path_factory.mktemp("served"), IMPORT_MAX_BYTES=str(MAX_BYTES)) as served:
        yield served.port


def send(port: int, token: str, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, path, body, {"Authorization": f"Bearer {token}", **headers})
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def upload(port: int, token: str, data: bytes, *, chunked: bool) -> tuple[int, dict[str, Any]]:
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n' + data + b"\r\n--x--\r\n"
    pieces = (body[start : start + 50_000] for start in range(0, len(body), 50_000)) if chunked else body
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    return send(port, token, "POST", "/api/v1/contacts/imports", pieces, **headers)


def test_a_token_signed_with_the_published_key_gets_in_and_others_do_not(port: int, token_for: TokenFor) -> None:
    assert send(port, token_for(new_id()), "GET", "/api/v1/contacts") == (200, {"items": [], "next_cursor": None})
    assert send(port, "no.such.token", "GET", "/api/v1/contacts")[0] == 401


def test_two_authorization_headers_are_refused_a65(port: int, token_for: TokenFor) -> None:
    good = f"Bearer {token_for(new_id())}"
    assert status_of_get(port, "/api/v1/contacts", good) == 200
    for second in (good, "Basic YTpi", ""):
        assert status_of_get(port, "/api/v1/contacts", good, second) == 400


def test_a_token_longer_than_a_header_may_be_is_refused_a59(port: int, token_for: TokenFor) -> None:
    good = f"Bearer {token_for(new_id())}"
    assert status_of_get(port, "/api/v1/contacts", good + "A" * 5000) == 401
    assert status_of_get(port, "/api/v1/contacts", good + "A" * 20_000) in {400, 431}  # by the server itself


@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_of_the_largest_size_is_accepted(port: int, token_for: TokenFor, chunked: bool) -> None:
    status, job = upload(port, token_for(new_id()), b"name\n" + b"x" * (MAX_BYTES - 5), chunked=chunked)
    assert (status, job["state"]) == (202, "queued")


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("data", "token", "status", "code"),
    [
        (b"\xff" * MAX_BYTES, None, 422, "not-utf8"),
        (b"name\n" + b"x\n" * MAX_BYTES, None, 413, "import-too-large"),
        (b"name\n" + b"x\n" * (MAX_BYTES // 2 - 10), "no.such.token", 401, "invalid-token"),
    ],
)
def test_a_client_that_sends_everything_first_still_gets_to_read_the_refusal(
    port: int, token_for: TokenFor, *, chunked: bool, data: bytes, token: str | None, status: int, code: str
) -> None:
    answer = upload(port, token or token_for(new_id()), data, chunked=chunked)
    assert (answer[0], answer[1]["code"]) == (status, code)
