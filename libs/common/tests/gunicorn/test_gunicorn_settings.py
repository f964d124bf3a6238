"""The settings and hooks themselves; `test_real_gunicorn` shows them at work."""

import gc
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from common.web.lifecycle import on_worker_start, on_worker_stop
from flask import Flask
from gunicorn.config import Config
from gunicorn.util import load_class
from gunicorn.workers.gthread import ThreadWorker

NAME = "common.gunicorn_conf"


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_port: Callable[[], int]) -> Iterator[Any]:
    """Imports the configuration as gunicorn does, under some variables."""
    loaded: list[ModuleType] = []

    def load_conf(**env: str) -> Any:
        variables = {"APP_ENV": "testing", "PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "METRICS_PORT": str(free_port())}
        for name, value in {**variables, **env}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["gunicorn"])
        monkeypatch.delitem(sys.modules, NAME, raising=False)
        loaded.append(importlib.import_module(NAME))
        return loaded[-1]

    yield load_conf
    for module in loaded:
        module.on_exit(None)


def test_gunicorn_accepts_every_setting(load: Any) -> None:
    settings = {name: value for name, value in vars(load()).items() if name in Config().settings}
    config = Config()
    for name, value in settings.items():
        config.set(name, value)
    assert set(settings) >= {"bind", "workers", "threads", "http_parser", "control_socket_disable", "worker_exit"}


def test_the_defaults_are_the_measured_ones(load: Any) -> None:
    conf = load()
    assert (conf.worker_class, conf.workers, conf.threads) == ("common.gunicorn_worker.ServiceWorker", 1, 4)
    assert issubclass(load_class(conf.worker_class), ThreadWorker)
    assert (conf.keepalive, conf.http_parser, conf.max_requests) == (75, "auto", 0)
    assert conf.preload_app
    assert conf.control_socket_disable
    assert conf.accesslog is None
    assert not hasattr(conf, "reuse_port")


def test_the_environment_changes_them(load: Any) -> None:
    conf = load(HOST="127.0.0.1", PORT="4711", WEB_WORKERS="3", WEB_THREADS="2", HTTP_PARSER="python")
    assert (conf.bind, conf.workers, conf.threads, conf.http_parser) == ("127.0.0.1:4711", 3, 2, "python")
    assert load(HOST="::1", PORT="4711").bind == "[::1]:4711"
    conf = load(KEEPALIVE_SECONDS="5", GRACEFUL_TIMEOUT_SECONDS="7", MAX_REQUESTS="1000")
    assert (conf.keepalive, conf.graceful_timeout) == (5, 7)
    assert (conf.max_requests, conf.max_requests_jitter) == (1000, 100)


def test_bad_settings_end_the_process(load: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load(PORT="eighty")
    assert caught.value.code == 78
    assert "PORT: " in capsys.readouterr().err


def test_the_master_serves_metrics_and_lets_go_of_them(load: Any) -> None:
    conf = load()
    conf.post_fork(None, None)
    conf.on_exit(None)
    conf.on_starting(None)
    conf.post_fork(None, None)


def test_what_was_loaded_before_a_fork_is_left_alone_by_the_collector(load: Any) -> None:
    conf = load()
    try:
        conf.pre_fork(None, None)
        assert gc.get_freeze_count() > 1000
    finally:
        gc.unfreeze()


def test_a_taken_metrics_port_is_one_line(load: Any) -> None:
    conf = load()
    conf.on_starting(None)
    with pytest.raises(SystemExit, match=r"METRICS_PORT \d+ of HOST 127\.0\.0\.1 cannot be used"):
        conf.on_starting(None)


def test_a_worker_runs_the_applications_hooks(load: Any) -> None:
    conf, app, ran = load(), Flask(__name__), list[str]()
    on_worker_start(app, lambda: ran.append("start"))
    on_worker_stop(app, lambda: ran.append("stop"))
    worker = SimpleNamespace(wsgi=app, booted=True, pid=0)
    conf.post_worker_init(worker)
    conf.worker_exit(None, worker)
    assert ran == ["start", "stop"]
    conf.worker_exit(None, SimpleNamespace(booted=False))
    assert ran == ["start", "stop"]
    conf.child_exit(None, worker)


def test_gunicorns_lines_go_the_way_of_all_others(load: Any) -> None:
    logger = load().GunicornLogger(Config())
    assert logger.error_log.propagate
    assert logger.error_log.handlers == []
