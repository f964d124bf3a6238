"""WEB_RELOAD: a changed file is served, a broken one is waited on, and the master keeps its process and its metrics."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def server(serve: Callable[..., Any]) -> Any:
    return serve(APP_ENV="development", WEB_RELOAD="true")


@pytest.fixture
def edit(tmp_path: Path) -> Callable[[str, str, str], None]:
    """Replaces a text in a file of the service, and keeps its time, as a copy of another file would."""

    def replace(file: str, old: str, new: str) -> None:
        path = tmp_path / "tiny" / file
        text = path.read_text()
        assert old in text
        written_at = path.stat().st_mtime - 60
        path.write_text(text.replace(old, new))
        os.utime(path, (written_at, written_at))

    return replace


def name_of_a(server: Any) -> Any:
    try:
        return server.ask("GET", "/api/v1/items/a").json.get("name")
    except (OSError, ValueError):
        return None


Edit = Callable[[str, str, str], None]


def test_a_changed_handler_answers_within_seconds_and_metrics_go_on(server: Any, edit: Edit) -> None:
    (first,) = server.noted("start")
    assert name_of_a(server) == "a"
    edit("wsgi.py", "Item(name=name,", "Item(name=name * 2,")
    server.wait_for(lambda: name_of_a(server) == "aa", seconds=8)
    assert server.noted("stop") == [first]
    assert len(server.noted("start")) == 2
    assert "flask_http_request_duration_seconds_count" in server.metrics()
    assert server.stop() == 0
    assert list((server.log.parent / "tmp").iterdir()) == []


@pytest.mark.drill
@pytest.mark.parametrize("fault", ["def broken(:\n    pass\n", "nonsense\n", "raise SystemExit(78)\n"])
def test_a_broken_file_is_shown_and_mended_without_a_restart(server: Any, edit: Edit, fault: str) -> None:
    edit("wsgi.py", 'note("loaded")\n', f'note("loaded")\n{fault}')
    server.wait_for(lambda: b"Traceback" in ask(server, "/api/v1/items/a"), seconds=8)
    assert server.ask("GET", "/api/v1/items/a").status == 500
    assert server.ask("GET", "/livez").status == 200
    edit("wsgi.py", f'note("loaded")\n{fault}', 'note("loaded")\n')
    server.wait_for(lambda: name_of_a(server) == "a", seconds=8)
    assert server.process.poll() is None
    assert server.stop() == 0


def ask(server: Any, path: str) -> bytes:
    try:
        return bytes(server.ask("GET", path).body)
    except OSError:
        return b""


@pytest.mark.drill
def test_a_change_of_what_the_master_loaded_begins_it_anew(server: Any, edit: Edit) -> None:
    edit("wsgi.py", "Item(name=name,", "Item(name=load_settings_or_exit(TinySettings).colour,")
    server.wait_for(lambda: name_of_a(server) == "red", seconds=8)
    edit("config.py", 'colour: str = "red"', 'colour: str = "red" +')
    server.wait_for(lambda: "reload_waits" in server.log.read_text(), seconds=8)
    edit("config.py", 'colour: str = "red" +', 'colour: str = "blue"')
    server.wait_for(lambda: name_of_a(server) == "blue", seconds=10)
    assert server.process.poll() is None
    assert "python_info" in server.metrics() or "flask_http" in server.metrics()
    assert len(server.children()) == 1
    assert server.stop() == 0
    assert list((server.log.parent / "tmp").iterdir()) == []


def test_it_is_refused_outside_development(launch: Callable[..., Any]) -> None:
    for environment in ("testing", "staging", "production"):
        server = launch(APP_ENV=environment, WEB_RELOAD="true", AUTH_ISSUER="https://auth.example")
        assert server.process.wait(20) == 78
        assert "WEB_RELOAD: is for development only" in server.log.read_text()
