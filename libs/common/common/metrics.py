"""Prometheus metrics: rate, errors and duration of requests by route template, our own counters, and their port.

The exporter's metrics live in a registry per application, so two applications in one process do not clash.
Under gunicorn the values go to files (`common.metrics_dir`) and the master serves the sum of all workers.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from wsgiref.simple_server import WSGIServer

from flask import Flask, Request
from prometheus_client import REGISTRY, CollectorRegistry, Counter, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_flask_exporter import PrometheusMetrics  # type: ignore[import-untyped] # ships no types

from common.metrics_dir import VARIABLE

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
PROBE_PATHS = "/(livez|readyz|version)$"

token_verifications = Counter(
    "token_verifications",
    "Access tokens looked at, by outcome: valid, missing, several, or why it was refused.",
    ["outcome"],
)
_valid_tokens = token_verifications.labels("valid")  # the label look-up costs as much as the count


def count_valid_token() -> None:
    """Count a token that verified."""
    _valid_tokens.inc()


def count_refused_token(outcome: str) -> None:
    """Count a token that did not, under a name from a closed list."""
    token_verifications.labels(outcome).inc()


def url_rule(request: Request) -> str:
    """The label of a request: its route's template. A raw path would make a series for each id and each scan."""
    return request.url_rule.rule if request.url_rule is not None else "unmatched"


def install_metrics(app: Flask) -> CollectorRegistry:
    """Measure the requests of an application, probes excepted; return the registry they are counted in."""
    registry = CollectorRegistry()
    PrometheusMetrics(app, path=None, group_by=url_rule, excluded_paths=PROBE_PATHS, registry=registry)
    app.extensions["metrics_registry"] = registry
    return registry


def leave_out_unknown_method(request: Request) -> None:
    """Keep a request out of the metrics if its method is a word of the client's own: each would be a new label."""
    if request.method not in _METHODS:
        request.prom_do_not_track = True  # type: ignore[attr-defined] # the exporter looks for it


class MetricsServer:
    """Answers GET on a port of its own with the metrics of this process, or of all that share the directory."""

    def __init__(self, port: int, host: str) -> None:
        self._server, self._thread = _start(port, host)

    @property
    def port(self) -> int:
        """The port listened on."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Stop answering and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def forget_in_child(self) -> None:
        """Close the listening socket a forked child inherited: the port would outlive the process that serves it."""
        self._server.server_close()


@contextmanager
def serving_metrics(port: int, host: str) -> Iterator[MetricsServer]:
    """Serve the metrics while the block runs."""
    server = MetricsServer(port, host)
    try:
        yield server
    finally:
        server.close()


def forget_process(pid: int) -> None:
    """Drop the gauges of a process that has ended from the shared directory; what it counted stays."""
    mark_process_dead(pid)  # type: ignore[no-untyped-call] # ships types for its exposition only


def _start(port: int, host: str) -> tuple[WSGIServer, Thread]:
    registry = REGISTRY
    if VARIABLE in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # ships types for its exposition only
    return start_http_server(port, host, registry=registry)
