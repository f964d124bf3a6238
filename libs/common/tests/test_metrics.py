import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
from common.access import public
from common.metrics import MetricsServer, serving_metrics
from common.metrics_dir import VARIABLE, prepare_metrics_dir
from common.redprint import Redprint
from flask import Flask
from prometheus_client import CollectorRegistry, generate_latest

items = Redprint("items")


@items.get("/<int:item_id>", access=public)
def show_item(item_id: int) -> None:
    if item_id == 13:
        raise RuntimeError("bad luck")


def counted(app: Flask) -> dict[tuple[str, str, str], float]:
    """How many requests were counted, by method, template and status."""
    registry: CollectorRegistry = app.extensions["metrics_registry"]
    return {
        (sample.labels["method"], sample.labels["url_rule"], sample.labels["status"]): sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "flask_http_request_duration_seconds_count"
    }


def test_requests_are_counted_by_template_method_and_status(make_app: Callable[..., Flask]) -> None:
    app = make_app(items)
    client = app.test_client()
    for path in ("1", "2", "13", "13"):
        client.get(f"/api/v1/items/{path}")
    client.get("/api/v1/items/1?x=1")
    client.post("/api/v1/items/1")
    client.get("/a/path/of/a/scanner")
    rule = "/api/v1/items/<int:item_id>"
    assert counted(app) == {
        ("GET", rule, "204"): 2,
        ("GET", rule, "500"): 2,
        ("GET", rule, "422"): 1,
        ("POST", "unmatched", "405"): 1,
        ("GET", "unmatched", "404"): 1,
    }


def test_probes_and_made_up_methods_are_not_counted(make_app: Callable[..., Flask]) -> None:
    app = make_app(items)
    client = app.test_client()
    for path in ("/livez", "/readyz", "/version"):
        client.get(path)
    client.open("/api/v1/items/1", method="PROPFIND")
    client.open("/nowhere", method="X1")
    assert counted(app) == {}
    assert b"PROPFIND" not in generate_latest(app.extensions["metrics_registry"])


def test_two_applications_of_one_process_count_for_themselves(make_app: Callable[..., Flask]) -> None:
    first, second = make_app(items), make_app(items)
    first.test_client().get("/api/v1/items/1")
    assert len(counted(first)) == 1
    assert counted(second) == {}


def test_metrics_are_not_served_beside_the_api(make_app: Callable[..., Flask]) -> None:
    assert make_app().test_client().get("/metrics").status_code == 404


def fetch(port: int) -> str:
    with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", "/metrics")
        with closing(connection.getresponse()) as response:
            assert response.status == 200
            return response.read().decode()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_process_serves_its_own_metrics_and_frees_the_port(free_port: Callable[[], int]) -> None:
    port = free_port()
    with serving_metrics(port, "127.0.0.1") as server:
        assert server.port == port
        assert "token_verifications_total" in fetch(port)
    assert not is_open(port)


def test_the_port_is_freed_after_a_failure_too(free_port: Callable[[], int]) -> None:
    port = free_port()
    with pytest.raises(RuntimeError), serving_metrics(port, "127.0.0.1"):
        raise RuntimeError
    assert not is_open(port)


def test_a_taken_port_is_refused(free_port: Callable[[], int]) -> None:
    with serving_metrics(free_port(), "127.0.0.1") as server, pytest.raises(OSError, match="in use"):
        MetricsServer(server.port, "127.0.0.1")


FORKING = """
import os
from common.metrics_dir import prepare_metrics_dir
directory = prepare_metrics_dir()
from prometheus_client import Counter, Gauge
from common.metrics import MetricsServer, forget_process
from urllib.request import urlopen
done = Counter("done", "d")
busy = Gauge("busy", "b", multiprocess_mode="livesum")
server = MetricsServer(0, "127.0.0.1")
def child():
    server.forget_in_child()
    done.inc()
    busy.inc()
    os._exit(0)
pids = []
for _ in range(2):
    pid = os.fork()
    if pid == 0:
        child()
    os.waitpid(pid, 0)
    pids.append(pid)
text = urlopen(f"http://127.0.0.1:{server.port}/").read().decode()
assert "done_total 2.0" in text and "busy 2.0" in text, text
forget_process(pids[0])
text = urlopen(f"http://127.0.0.1:{server.port}/").read().decode()
assert "done_total 2.0" in text and "busy 1.0" in text, text
server.close()
print(directory)
"""


def test_the_counts_of_all_processes_are_summed_and_the_gauges_of_dead_ones_dropped(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", FORKING], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_named_directory_is_made_and_emptied_of_metric_files_only(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b"
    env = {VARIABLE: str(directory)}
    assert prepare_metrics_dir(env) == directory
    (directory / "counter_1.db").touch()
    (directory / "README").touch()
    assert prepare_metrics_dir(env) == directory
    assert [file.name for file in directory.iterdir()] == ["README"]


def test_an_unnamed_directory_is_temporary_and_named_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    env: dict[str, str] = {}
    directory = prepare_metrics_dir(env)
    assert directory.parent == tmp_path
    assert env == {VARIABLE: str(directory)}
    assert prepare_metrics_dir(env) == directory
