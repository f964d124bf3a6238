import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from common.config import Settings, load_settings
from common.logging import StructlogHandler, configure_logging

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _restore_root() -> Iterator[None]:
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    yield
    root.handlers, root.level = before


def configure(**env: str) -> None:
    configure_logging(load_settings(Settings, {"APP_ENV": "testing", "LOG_LEVEL": "info", **env}))


def lines(capsys: Capture) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_an_event_is_one_json_line_with_its_fields(capsys: Capture) -> None:
    configure(SERVICE_NAME="shop")
    structlog.get_logger().info("job_claimed", job_id="42", rows=3)
    (line,) = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "job_claimed", "job_id": "42", "rows": 3, "level": "info", "service": "shop"}


def test_what_libraries_log_looks_the_same(capsys: Capture) -> None:
    configure()
    logging.getLogger("alembic").warning("applied %s of %d", "0001", 2)
    (line,) = lines(capsys)
    assert (line["event"], line["logger"], line["level"]) == ("applied 0001 of 2", "alembic", "warning")


@pytest.mark.parametrize(("number", "level"), [(5, None), (15, None), (25, "info"), (35, "warning"), (99, "critical")])
def test_a_librarys_own_level_is_rounded_down(capsys: Capture, number: int, level: str | None) -> None:
    configure()
    logging.getLogger("other").log(number, "said")
    assert [line["level"] for line in lines(capsys)] == ([level] if level else [])


def test_a_bad_log_call_of_a_library_fails_nothing(capsys: Capture) -> None:
    configure()
    StructlogHandler().handle(logging.LogRecord("other", logging.WARNING, "", 1, "%d files", ("many",), None))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Logging error" in captured.err


def test_what_is_below_the_level_is_not_written(capsys: Capture) -> None:
    configure(LOG_LEVEL="warning")
    structlog.get_logger().info("quiet")
    logging.getLogger("other").info("quiet")
    structlog.get_logger().warning("loud")
    assert [line["event"] for line in lines(capsys)] == ["loud"]


def test_bound_fields_are_on_every_line(capsys: Capture) -> None:
    configure()
    structlog.contextvars.bind_contextvars(request_id="r1")
    structlog.get_logger().info("one")
    logging.getLogger("other").info("two")
    assert [line["request_id"] for line in lines(capsys)] == ["r1", "r1"]


def test_an_exception_has_its_traceback_and_no_local_variables(capsys: Capture) -> None:
    configure()

    def fail(pin: int) -> None:
        raise RuntimeError("gone")

    try:
        fail(4711)
    except RuntimeError:
        structlog.get_logger().exception("failed")
        logging.getLogger("other").exception("failed too")
    for line in lines(capsys):
        assert "RuntimeError: gone" in line["exception"]
        assert "4711" not in line["exception"].replace("fail(4711)", "")


def test_secrets_are_not_written_by_either_way(capsys: Capture) -> None:
    configure()
    structlog.get_logger().info("login", password="hunter2", nested={"refresh_token": "hunter2"})
    logging.getLogger("other").info("connecting to mysql://app:hunter2@db/api")
    try:
        raise RuntimeError("Authorization: Bearer hunter2")
    except RuntimeError:
        structlog.get_logger().exception("failed")
    written = capsys.readouterr().out
    assert "hunter2" not in written.replace('Bearer hunter2")', "")


def test_what_is_no_json_type_is_written_as_text(capsys: Capture) -> None:
    configure()
    structlog.get_logger().info("odd", kind=int, keys={1: "a"}, raw=b"\xff")
    (line,) = lines(capsys)
    assert (line["kind"], line["keys"], line["raw"]) == ("<class 'int'>", {"1": "a"}, "\ufffd")


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_lone_surrogate_does_not_lose_the_line(capsys: Capture, log_format: str) -> None:
    configure(LOG_FORMAT=log_format)
    structlog.get_logger().info("odd", name="a\ud800b")
    assert "\\ud800" in capsys.readouterr().out


def test_development_reads_as_text(capsys: Capture) -> None:
    configure(LOG_FORMAT="text")
    structlog.get_logger().info("job_claimed", job_id="42", password="hunter2")
    written = capsys.readouterr().out
    assert "job_claimed" in written
    assert "job_id=42" in written
    assert "hunter2" not in written
    assert "\x1b" not in written


def test_text_holds_nothing_that_moves_a_cursor_or_forges_a_line(capsys: Capture) -> None:
    configure(LOG_FORMAT="text")
    structlog.get_logger().info("request", path="/\x1b[2J\x9b\r\n2024 forged\x7f")
    written = capsys.readouterr().out
    assert written.count("\n") == 1
    assert written.removesuffix("\n").isprintable()


def test_text_shows_tracebacks_too(capsys: Capture) -> None:
    configure(LOG_FORMAT="text")
    try:
        raise RuntimeError("gone")
    except RuntimeError:
        structlog.get_logger().exception("failed")
    assert "RuntimeError: gone" in capsys.readouterr().out


def test_configuring_twice_writes_every_line_once(capsys: Capture) -> None:
    configure()
    configure()
    logging.getLogger("other").info("once")
    assert len(lines(capsys)) == 1


def test_other_handlers_stay() -> None:
    other = logging.NullHandler()
    logging.getLogger().addHandler(other)
    configure()
    handlers = logging.getLogger().handlers
    assert other in handlers
    assert len([handler for handler in handlers if isinstance(handler, StructlogHandler)]) == 1


def test_a_closed_output_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    configure()
    closed = io.TextIOWrapper(io.BytesIO())
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    structlog.get_logger().info("unheard")


def test_threads_do_not_mix_their_lines() -> None:
    code = """
import threading, structlog
from common.config import Settings, load_settings
from common.logging import configure_logging
configure_logging(load_settings(Settings, {"APP_ENV": "testing", "LOG_LEVEL": "info"}))
def work():
    for _ in range(300):
        structlog.get_logger().info("line", text="x" * 500)
threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    written = done.stdout.splitlines()
    assert len(written) == 1200
    assert all(json.loads(line)["text"] == "x" * 500 for line in written)
