"""The README's new kind in twenty lines, word for word."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.db import Database
from jobs.models import Base, Job

README = Path(__file__).parents[1] / "README.md"


def test_the_new_kind_of_the_readme_works_as_it_stands_there(make_database: Callable[..., Database]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    declared, handler, test, accepting = blocks
    known: dict[str, Any] = {"__name__": __name__}
    for block in (declared, handler, test):
        # A README is code here: this is what it is tested by.
        exec(compile(block, str(README), "exec"), known)
    known["test_numbers_are_added"](lambda package: make_database(Base.metadata))
    known["database"] = database = make_database(Base.metadata)
    exec(compile(accepting.replace('Database("sqlite:///.local/data/api.db")', "database"), "README", "exec"), known)
    with database.read() as session:
        assert session.get_one(Job, known["job"].id).kind == "numbers.add"
