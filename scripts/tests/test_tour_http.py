"""One description makes both the call and the curl that is shown."""

import json
import shlex
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from devtools.ports import free_port
from devtools.tour.http import Request, curl, send


class Recorder(BaseHTTPRequestHandler):
    """Answers with what it was asked, boundaries and lengths left out."""

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        content_type, _, boundary = (self.headers.get("Content-Type") or "").partition("; boundary=")
        seen = {
            "method": self.command,
            "path": self.path,
            "type": content_type,
            "authorization": self.headers.get("Authorization"),
            "body": json.loads(body) if content_type == "application/json" else parts(body, boundary),
        }
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(seen).encode())

    do_GET = do_POST = do_DELETE = answer  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def parts(body: str, boundary: str) -> list[str]:
    """The parts of a form without their Content-Type, which curl guesses from the name of the file."""
    if not boundary:
        return []
    lines = (part.strip("\r\n").split("\r\n") for part in body.split(f"--{boundary}")[1:-1])
    return ["\n".join(line for line in part if not line.startswith("Content-Type")) for part in lines]


@pytest.fixture(scope="module")
def server():
    recorder = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=recorder.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{recorder.server_address[1]}"
    recorder.shutdown()
    recorder.server_close()


@pytest.fixture
def sample(tmp_path):
    file = tmp_path / "people.csv"
    file.write_text("name\nZoë\n")
    return file


def calls(server: str, sample: Path) -> list[Request]:
    return [
        Request("GET", f"{server}/things?limit=3&cursor=a%20b"),
        Request("GET", f"{server}/things", token="t.o.k"),
        Request("DELETE", f"{server}/things/1", token="t.o.k"),
        Request("POST", f"{server}/things", body={"name": 'O\'Brien $HOME "x"', "city": "Gdańsk"}),
        Request("POST", f"{server}/cancel", token="t.o.k"),
        Request("POST", f"{server}/imports", token="t.o.k", upload={"file": sample}, form={"mapping": '{"a": "b"}'}),
    ]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("index", range(6))
def test_the_curl_that_is_shown_makes_the_call_that_was_made(server, sample, index):
    request = calls(server, sample)[index]
    shown = subprocess.run(
        ["bash", "-c", curl(request)], env={"TOKEN": "t.o.k", "PATH": "/usr/bin:/bin"}, capture_output=True, check=True
    )
    assert json.loads(shown.stdout) == send(request).json()


def test_a_token_is_never_part_of_what_is_shown():
    shown = curl(Request("GET", "http://127.0.0.1/x", token="s3cret"))
    assert "s3cret" not in shown
    assert '"Authorization: Bearer $TOKEN"' in shown


def test_what_is_shown_is_one_line_a_shell_can_read():
    shown = curl(Request("POST", "http://127.0.0.1/x", body={"note": "two\nlines; rm -rf ~"}))
    assert "\n" not in shown
    assert shlex.split(shown)[-1] == '{"note": "two\\nlines; rm -rf ~"}'


def test_nobody_answering_is_an_error_and_not_an_answer():
    with pytest.raises(OSError, match="refused"):
        send(Request("GET", f"http://127.0.0.1:{free_port()}/"))
