"""The conditions of the statements that functions send: which there are, and what happens without one of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Column, Connection, Engine, event
from sqlalchemy.sql.visitors import iterate

_WHERE = "_where_criteria"
"""Where SQLAlchemy keeps the conditions of a statement one by one; it has no public way to take one out."""

_done_by_others = ContextVar("done_by_others", default=False)


class Condition(NamedTuple):
    """One condition of the WHERE of one statement. Of the statements of a call that have a WHERE, 1 is the first."""

    function: str
    statement: int
    column: str

    def __str__(self) -> str:
        return f"{self.function}-{self.statement}-{self.column}"


class Conditions:
    """Sees the conditions of all statements that functions send, and takes `dropped` out."""

    def __init__(self, dropped: Condition | None = None) -> None:
        self.seen: set[Condition] = set()
        self._dropped = dropped
        self._calls: list[_Call] = []

    def watch(self, monkeypatch: pytest.MonkeyPatch, name: str, *modules: object) -> None:
        """Watch a function under its name in these modules."""
        original = getattr(modules[0], name)

        def watched(*args: Any, **options: Any) -> Any:
            self._calls.append(_Call(name))
            try:
                return original(*args, **options)
            finally:
                self._calls.pop()

        for module in modules:
            monkeypatch.setattr(module, name, watched)

    @contextmanager
    def at_work(self) -> Iterator["Conditions"]:
        """See and drop while the block runs."""
        event.listen(Engine, "before_execute", self._before, retval=True)
        try:
            yield self
        finally:
            event.remove(Engine, "before_execute", self._before)

    def _before(self, _: Connection, statement: Any, many: Any, parameters: Any, _options: Any) -> tuple[Any, Any, Any]:
        if self._calls and has_conditions(statement) and not _done_by_others.get():
            call = self._calls[-1]
            call.statements += 1
            statement = self._without_dropped(call, statement)
        return statement, many, parameters

    def _without_dropped(self, call: "_Call", statement: Any) -> Any:
        named = [(Condition(call.name, call.statements, column_of(each)), each) for each in getattr(statement, _WHERE)]
        self.seen.update(name for name, _ in named)
        if self._dropped not in {name for name, _ in named}:
            return statement
        # A copy: some statements are made once for all calls.
        changed = statement.execution_options()
        setattr(changed, _WHERE, tuple(each for name, each in named if name != self._dropped))
        return changed


class _Call:
    """A call that has not returned yet."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.statements = 0


@contextmanager
def before_statement(number: int, act: Callable[[], object]) -> Iterator[None]:
    """Do something just before the statement of that number with a WHERE is sent, as somebody else might.

    What it sends is nobody's whose conditions are watched.
    """
    left = [number]

    def before(_: Connection, statement: Any, _many: Any, _parameters: Any, _options: Any) -> None:
        if left[0] > 0 and has_conditions(statement):
            left[0] -= 1
            if left[0] == 0:
                others = _done_by_others.set(True)
                act()
                _done_by_others.reset(others)

    event.listen(Engine, "before_execute", before)
    try:
        yield
    finally:
        event.remove(Engine, "before_execute", before)


def has_conditions(statement: Any) -> bool:
    return bool(getattr(statement, _WHERE, ()))


def column_of(condition: Any) -> str:
    """The column that the condition is about."""
    return next(each.name for each in iterate(condition) if isinstance(each, Column))
