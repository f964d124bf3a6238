from collections.abc import Callable

import pytest
from common.web.lifecycle import is_stopping, on_worker_start, on_worker_stop, start_worker, stop_worker
from flask import Flask


def test_hooks_run_in_their_order_and_at_their_moment() -> None:
    app, ran = Flask(__name__), list[str]()
    on_worker_start(app, lambda: ran.append("pool"))
    on_worker_start(app, lambda: ran.append("keys"))
    on_worker_stop(app, lambda: ran.append("close"))
    start_worker(app)
    assert ran == ["pool", "keys"]
    stop_worker(app)
    assert ran == ["pool", "keys", "close"]


def test_a_hook_that_fails_is_logged_and_stops_nothing(
    make_app: Callable[..., Flask], capsys: pytest.CaptureFixture[str]
) -> None:
    app, ran = make_app(), list[str]()

    def fail() -> None:
        raise ConnectionError("the database is away")

    on_worker_start(app, fail)
    on_worker_start(app, lambda: ran.append("keys"))
    start_worker(app)
    assert ran == ["keys"]
    assert "worker_hook_failed" in capsys.readouterr().out


def test_an_application_without_hooks_starts_and_stops() -> None:
    app = Flask(__name__)
    start_worker(app)
    stop_worker(app)


def test_what_goes_on_for_long_can_ask_whether_the_process_ends() -> None:
    app, told = Flask(__name__), list[bool]()
    assert not is_stopping(app)
    start_worker(app, lambda: bool(told))
    assert not is_stopping(app)
    told.append(True)
    assert is_stopping(app)
    start_worker(app)
    stop_worker(app)
    assert is_stopping(app)
