"""The README's new kind in twenty lines, word for word."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from common.db import Database
from jobs.models import Base, Job

README = Path(__file__).parents[1] / "README.md"
MODULES = ["contacts.numbers", "worker_service.tasks.numbers", "worker_service.tests.test_numbers_tasks", "accept"]


def test_the_new_kind_of_the_readme_works_as_it_stands_there(
    make_database: Callable[..., Database], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each block is a module of its own, as it is for who follows it: it has to import what it uses."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    modules = [ModuleType(name) for name in MODULES]
    for name, module in zip(MODULES, modules, strict=True):
        monkeypatch.setitem(sys.modules, name, module)
    _declared, _handler, test, accepting = modules
    for module, block in zip(modules[:3], blocks, strict=False):
        run(block, module)
    test.test_numbers_are_added(lambda _package: make_database(Base.metadata))
    # The worker is not there, so nobody runs what is accepted.
    database = make_database(Base.metadata)
    vars(accepting)["a_database"] = database
    run(blocks[3].replace('Database("sqlite:///.local/data/api.db")', "a_database"), accepting)
    assert capsys.readouterr().out.endswith("None\n")
    with database.read() as session:
        assert session.get_one(Job, accepting.job.id).kind == "numbers.add"


def run(block: str, module: Any) -> None:
    """A README is code here: this is what it is tested by."""
    exec(compile(block, str(README), "exec"), vars(module))
