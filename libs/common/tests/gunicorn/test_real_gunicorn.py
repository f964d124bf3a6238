"""The configuration under a real gunicorn: requests, metrics, logs, and an end that leaves nothing behind."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import psutil
import pytest

Start = Callable[..., Any]
pytestmark = pytest.mark.slow


def samples(text: str, name: str, **labels: str) -> float:
    """The sum of a metric's samples that carry these labels."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    lines = [line for line in text.splitlines() if line.startswith(name)]
    return sum(float(line.rpartition(" ")[2]) for line in lines if all(label in line for label in wanted))


def finish(connection: HTTPConnection) -> HTTPResponse:
    with closing(connection), closing(connection.getresponse()) as response:
        response.read()
        return response


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_it_answers_and_counts_over_all_workers(serve: Start) -> None:
    server = serve(WEB_WORKERS="2")
    pids = [server.ask("GET", "/api/v1/items/a").json["pid"]]
    while len(set(pids)) < 2:
        pids.append(server.ask("GET", "/api/v1/items/a").json["pid"])
        assert len(pids) < 500
    assert server.ask("GET", "/nowhere/42").status == 404
    assert server.ask("PROPFIND", "/api/v1/items/a").status == 405
    for probe in ("/livez", "/readyz", "/version"):
        assert server.ask("GET", probe).status == 200
    text = server.metrics()
    count = "flask_http_request_duration_seconds_count"
    assert samples(text, count, url_rule="/api/v1/items/<name>", method="GET", status="200") == len(pids)
    assert samples(text, count, url_rule="unmatched", status="404") == 1
    assert samples(text, count) == len(pids) + 1
    assert "PROPFIND" not in text
    assert "nowhere" not in text
    assert "token_verifications_total" in text
    assert server.ask("GET", "/metrics").status == 404


def test_every_line_it_writes_is_json_of_the_service(serve: Start) -> None:
    server = serve()
    server.ask("GET", "/api/v1/items/a")
    assert server.stop() == 0
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    events = [line["event"] for line in lines]
    assert {line["service"] for line in lines} == {"tiny"}
    assert any(event.startswith("Starting gunicorn") for event in events)
    assert events.count("request") == 1


def test_the_application_is_loaded_once_and_each_worker_runs_its_hooks(serve: Start) -> None:
    server = serve(WEB_WORKERS="2")
    assert server.noted("loaded") == [server.process.pid]
    started = server.noted("start")
    assert len(set(started)) == 2
    assert server.process.pid not in started
    assert server.stop() == 0
    assert sorted(server.noted("stop")) == sorted(started)


def test_a_request_in_flight_is_finished_on_stop_and_nothing_is_left(serve: Start, tmp_path: Path) -> None:
    server = serve(GRACEFUL_TIMEOUT_SECONDS="10", WEB_WORKERS="2")
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(server.ask("GET", "/api/v1/items/slow")))
    asking.start()
    server.wait_for(lambda: server.noted("slow"))
    children = server.children()
    assert len(children) == 2
    assert server.stop() == 0
    asking.join()
    assert answers[0].status == 200
    assert not [child for child in children if child.is_running()]
    assert not is_open(server.port)
    assert not is_open(server.metrics_port)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_worker_that_is_killed_is_replaced_and_its_counts_stay(serve: Start) -> None:
    server = serve()
    server.ask("GET", "/api/v1/items/a")
    (worker,) = server.noted("start")
    os.kill(worker, signal.SIGKILL)
    server.wait_for(lambda: len(server.noted("start")) == 2)
    server.ask("GET", "/api/v1/items/a")
    count = samples(server.metrics(), "flask_http_request_duration_seconds_count", status="200")
    assert count == 2
    assert server.stop() == 0


def test_a_killed_master_holds_no_port(serve: Start) -> None:
    server = serve()
    children = server.children()
    server.process.kill()
    server.process.wait()
    server.wait_for(lambda: not is_open(server.metrics_port), seconds=1)
    server.wait_for(lambda: not any(child.is_running() for child in children))
    assert not is_open(server.port)


JSON = {"Content-Type": "application/json"}


def test_a_large_body_gets_its_413_and_the_server_goes_on(serve: Start) -> None:
    server = serve(BODY_LIMIT_BYTES="2000")
    answer = server.ask("POST", "/api/v1/items", b'{"name":"%s"}' % (b"x" * 200_000), headers=JSON)
    assert (answer.status, answer.json["code"]) == (413, "content-too-large")
    assert server.ask("POST", "/api/v1/items", b'{"name":"x"}', headers=JSON).status == 200


def test_a_chunked_body_is_read_and_limited(serve: Start) -> None:
    server = serve(BODY_LIMIT_BYTES="2000")

    def send(size: int) -> Any:
        body = b'{"name":"%s"}' % (b"x" * size)
        chunks = (body[at : at + 500] for at in range(0, len(body), 500))
        return server.ask("POST", "/api/v1/items", chunks, headers=JSON, encode_chunked=True)

    assert send(1000).status == 200
    answer = send(5000)
    assert (answer.status, answer.json["code"]) == (413, "content-too-large")


def say(server: Any, data: bytes) -> tuple[int, dict[str, Any]]:
    """Send bytes as they are, and read the answer's status and body."""
    with closing(server.open()) as connection:
        connection.connect()
        connection.sock.sendall(data)
        with closing(HTTPResponse(connection.sock)) as response:
            response.begin()
            assert response.headers["Content-Type"] == "application/problem+json"
            return response.status, json.loads(response.read())


HEAD = b"POST /api/v1/items HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
MALFORMED = {
    "no HTTP at all": (b"\x16\x03\x01\r\n\r\n", 400),
    "a header without a name": (b"GET / HTTP/1.1\r\nHost: x\r\n: 1\r\n\r\n", 400),
    "a line that is too long": (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    "too many headers": (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 101 + b"\r\n", 431),
    "two lengths": (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    "a chunk that is none": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
}


def test_what_no_application_gets_to_see_is_a_problem_too_and_logged_once(serve: Start) -> None:
    server = serve()
    for data, status in MALFORMED.values():
        answer = say(server, data)
        assert (answer[0], answer[1]["status"]) == (status, status)
        assert set(answer[1]) == {"type", "title", "status", "detail", "instance", "code", "trace_id"}
        (line,) = [line for line in server.log.read_text().splitlines() if answer[1]["trace_id"] in line]
        assert json.loads(line)["level"] in {"info", "warning"}


def test_connections_on_which_nothing_comes_hold_nobody_up(serve: Start) -> None:
    server = serve()
    silent = [server.open() for _ in range(12)]
    for connection in silent:
        connection.connect()
    began = time.monotonic()
    assert server.ask("GET", "/livez").status == 200
    assert time.monotonic() - began < 3
    for connection in silent:
        connection.close()


def test_a_client_that_stalls_is_given_up(serve: Start) -> None:
    server = serve(CLIENT_TIMEOUT_SECONDS="1", WEB_THREADS="2")
    with closing(server.open()) as first, closing(server.open()) as second:
        for connection in (first, second):
            connection.connect()
            connection.sock.sendall(b"GET /livez HT")
        assert server.ask("GET", "/livez").status == 200
        assert first.sock.recv(100) == b""
    status, body = say(server, HEAD + b'Content-Length: 100\r\n\r\n{"name"')
    assert (status, body["code"]) == (400, "bad-request")
    written = server.log.read_text()
    assert "A client stalled" in written
    assert '"level":"error"' not in written


def test_a_silent_connection_does_not_hold_up_the_stop(serve: Start) -> None:
    server = serve(GRACEFUL_TIMEOUT_SECONDS="20")
    with closing(server.open()) as silent:
        silent.connect()
        assert server.ask("GET", "/livez").status == 200
        time.sleep(0.2)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 6


def test_who_waits_when_it_stops_is_served_and_who_comes_later_refused(serve: Start) -> None:
    server = serve(GRACEFUL_TIMEOUT_SECONDS="10", WEB_THREADS="5")
    (worker,) = server.noted("start")
    os.kill(worker, signal.SIGSTOP)
    waiting = [server.open() for _ in range(5)]
    for connection in waiting:
        connection.request("GET", "/api/v1/items/slow")
    server.process.terminate()
    server.wait_for(lambda: "Handling signal: term" in server.log.read_text())
    os.kill(worker, signal.SIGCONT)
    server.wait_for(lambda: not is_open(server.port), seconds=1.4)
    assert server.process.poll() is None
    assert [finish(connection).status for connection in waiting] == [200] * 5
    assert server.process.wait(10) == 0


def test_two_authorization_headers_are_told_from_one(serve: Start) -> None:
    connection = serve().open()
    connection.putrequest("GET", "/api/v1/items/mine")
    connection.putheader("Authorization", "Bearer a")
    connection.putheader("Authorization", "Bearer b")
    connection.endheaders()
    with closing(connection), closing(connection.getresponse()) as response:
        assert response.status == 400


def test_a_connection_is_kept_for_the_next_request(serve: Start) -> None:
    with closing(serve().open()) as connection:
        for _ in range(3):
            connection.request("GET", "/api/v1/items/a")
            answer = connection.getresponse()
            answer.read()
            assert not answer.will_close


@pytest.mark.parametrize("env", [{"APP_ENV": ""}, {"APP_ENV": "production"}, {"SHADE": "0"}])
def test_bad_settings_end_it_with_78_before_anything_listens(launch: Start, env: dict[str, str]) -> None:
    server = launch(**env)
    assert server.process.wait(20) == 78
    written = server.log.read_text()
    assert "problem(s)" in written
    assert "Listening" not in written
    assert "Traceback" not in written


def test_a_taken_metrics_port_ends_it_with_one_line(launch: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        server = launch(METRICS_PORT=port)
        assert server.process.wait(20) == 1
    assert f"METRICS_PORT {port} of HOST 127.0.0.1 cannot be used: Address already in use" in server.log.read_text()
    assert "Traceback" not in server.log.read_text()


def test_a_named_metrics_directory_is_emptied_and_kept(serve: Start, tmp_path: Path) -> None:
    directory = tmp_path / "metrics"
    directory.mkdir()
    (directory / "counter_1.db").write_bytes(b"stale")
    server = serve(PROMETHEUS_MULTIPROC_DIR=str(directory))
    server.ask("GET", "/api/v1/items/a")
    assert samples(server.metrics(), "flask_http_request_total", status="200") == 1
    assert server.stop() == 0
    assert directory.is_dir()
    assert not (directory / "counter_1.db").exists()


def test_no_worker_holds_the_metrics_port(serve: Start) -> None:
    server = serve()
    (worker,) = server.noted("start")
    listening = {
        connection.laddr.port
        for connection in psutil.Process(worker).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {server.port}
