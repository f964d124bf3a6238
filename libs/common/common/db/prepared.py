"""Statements sent so often that SQLAlchemy should not work out anew each time what is the same each time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, CursorResult, Dialect
from sqlalchemy.sql import ClauseElement


@dataclass(frozen=True)
class _Made:
    """The statement as a driver takes it, and what is done to the values that are given."""

    text: str
    order: Sequence[str] | None
    fixed: dict[str, Any]
    converters: dict[str, Callable[[Any], Any]]


class Prepared:
    """A statement whose text is made once for each dialect.

    For statements that return no rows, since what comes back is not converted, that name every value, since defaults of
    a model are not filled in, and that have no list of values.
    """

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._made: WeakKeyDictionary[Dialect, _Made] = WeakKeyDictionary()

    def execute(self, connection: Connection, values: dict[str, Any]) -> CursorResult[Any]:
        """Send it with these values, one for each `bindparam` without a value of its own.

        Raises KeyError where one is missing, what its conversion raises, and the errors of the database.
        """
        made = self._made.get(connection.dialect) or self._make(connection.dialect)
        parameters = made.fixed | values
        for name, convert in made.converters.items():
            parameters[name] = convert(parameters[name])
        if made.order is None:
            return connection.exec_driver_sql(made.text, parameters)
        return connection.exec_driver_sql(made.text, tuple(parameters[name] for name in made.order))

    def _make(self, dialect: Dialect) -> _Made:
        compiled = self._statement.compile(dialect=dialect)
        fixed, converters = {}, {}
        for name, bind in compiled.binds.items():  # type: ignore[attr-defined] # of the compilers of SQL
            convert = bind.type.dialect_impl(dialect).bind_processor(dialect)
            if not bind.required:
                fixed[name] = convert(bind.value) if convert else bind.value
            elif convert:
                converters[name] = convert
        made = _Made(compiled.string, compiled.positiontup, fixed, converters)  # type: ignore[attr-defined] # as above
        self._made[dialect] = made
        return made
