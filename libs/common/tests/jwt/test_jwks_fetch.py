"""One request for a key set, against servers that keep to the letter of HTTP and never come to an end."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from common.jwt.jwks_fetch import Fetched, FetchError, check_url, fetch_document

SendPieces = Callable[[bytes, bytes], str]


@pytest.fixture
def serve() -> Iterator[SendPieces]:
    """Starts a server that sends a beginning, then a piece every 50 ms until its client hangs up; gives its URL."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def answer(listener: socket.socket, beginning: bytes, piece: bytes) -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(beginning)
                while piece:
                    connection.sendall(piece)
                    time.sleep(0.05)

    def start(beginning: bytes, piece: bytes = b"") -> str:
        listeners.append(socket.create_server(("127.0.0.1", 0)))
        threads.append(threading.Thread(target=answer, args=(listeners[-1], beginning, piece)))
        threads[-1].start()
        return f"http://127.0.0.1:{listeners[-1].getsockname()[1]}/"

    yield start
    for thread in threads:
        thread.join(5)
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize(
    ("beginning", "piece"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nX: ", b"x", id="a-header-line"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", id="header-lines"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", id="100-continue"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", b" ", id="the-body"),
    ],
)
def test_an_answer_that_drips_is_given_up_in_time(serve: SendPieces, beginning: bytes, piece: bytes) -> None:
    begun = time.monotonic()
    with pytest.raises(FetchError):
        fetch_document(check_url(serve(beginning, piece)), None, 0.3)
    assert time.monotonic() - begun < 2


def test_a_document_without_end_is_given_up_at_the_limit(serve: SendPieces) -> None:
    url = check_url(serve(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 65_536, b" "))
    with pytest.raises(FetchError, match="larger than 65536"):
        fetch_document(url, None, 5)


def test_no_change_is_no_answer_to_who_has_nothing(serve: SendPieces) -> None:
    unchanged = b"HTTP/1.1 304 Not Modified\r\n\r\n"
    assert fetch_document(check_url(serve(unchanged)), '"1"', 2) == Fetched(None, '"1"')
    with pytest.raises(FetchError, match="304"):
        fetch_document(check_url(serve(unchanged)), None, 2)


def test_an_answer_in_time_is_read_whole(serve: SendPieces) -> None:
    url = serve(b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: 2\r\n\r\n{}')
    assert fetch_document(check_url(url), None, 2) == Fetched(b"{}", '"1"')
