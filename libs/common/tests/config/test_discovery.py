from pathlib import Path

import pytest
from common.config import WebSettings
from common.config.discovery import find_settings_class


def write_config(folder: Path, name: str, code: str) -> None:
    (folder / name).mkdir()
    (folder / name / "__init__.py").touch()
    (folder / name / "config.py").write_text("from common.config import *\n" + code)


@pytest.mark.parametrize("arguments", [[], ["gunicorn", "-c", "python:common.gunicorn_conf"], ["tool", "other:app"]])
def test_without_a_service_the_shared_settings_hold(arguments: list[str]) -> None:
    assert find_settings_class(arguments) is WebSettings


@pytest.mark.parametrize("target", ["{}.wsgi:app", "{}.wsgi"])
def test_the_service_on_the_command_line_brings_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    name = f"found_{len(target)}"
    write_config(tmp_path, name, "class Own(WebSettings): service_name: str = 'own'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_settings_class(["gunicorn", target.format(name)]).__name__ == "Own"


@pytest.mark.parametrize(
    ("name", "code"), [("none", ""), ("two", "class A(WebSettings): ...\nclass B(WebSettings): ...\n")]
)
def test_a_service_exports_one_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: str) -> None:
    write_config(tmp_path, f"exports_{name}", code)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(TypeError, match="has to export one class"):
        find_settings_class([f"exports_{name}.wsgi:app"])
