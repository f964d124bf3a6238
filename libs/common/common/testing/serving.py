"""An application behind a real socket, for what a test client hides: how a server reads headers."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from threading import Thread

from flask import Flask
from werkzeug.serving import make_server


@contextmanager
def served(app: Flask) -> Iterator[int]:
    """Serve the application on a port of 127.0.0.1 and give that."""
    server = make_server("127.0.0.1", 0, app)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def status_of_get(port: int, path: str, *authorizations: str) -> int:
    """The status of a request with so many Authorization headers, each on a line of its own."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.putrequest("GET", path)
        for value in authorizations:
            connection.putheader("Authorization", value)
        connection.endheaders()
        response = connection.getresponse()
        response.read()
        return response.status
