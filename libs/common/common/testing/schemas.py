"""Whether the migrations of a package make the very tables its models describe."""

import difflib
from collections.abc import Callable

from sqlalchemy import Engine, Inspector, MetaData, event, inspect, text

from common.db import Database, migrate
from common.testing.databases import Schema


def assert_models_match_migrations(
    make_database: Callable[[Schema], Database], package: str, *metadata: MetaData
) -> None:
    """Compare a database made by the package's migrations with one made from its models.

    Both are asked what they hold, so everything counts that the database knows: types, defaults, generated columns,
    keys, names of constraints, collations. Only the order of columns is free. The difference is in the error.
    """
    migrated, modelled = describe(make_database(package)), describe(make_database(metadata))
    _refuse_difference(
        {"migrations": migrated, "models": modelled}, f"the migrations and the models of {package} differ:"
    )


def assert_migrations_go_on_where_they_stopped(
    make_database: Callable[[Schema], Database], package: str, url: str
) -> None:
    """Stop the migrations of an empty database at `url` after each statement that changes the schema, one by one.

    Run again they have to go on, and to lead to the same tables as without a stop. For MySQL: other databases take
    everything back.
    """
    seen: set[str] = set()

    def stop(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if statement.lstrip().startswith(("CREATE", "ALTER")) and statement not in seen:
            seen.add(statement)
            raise _Stopped

    event.listen(Engine, "after_cursor_execute", stop)
    try:
        while not _reaches_the_end(url, package):
            pass
    finally:
        event.remove(Engine, "after_cursor_execute", stop)
    database = Database(url)
    resumed, straight = describe(database), describe(make_database(package))
    database.dispose()
    _refuse_difference({"resumed": resumed, "straight": straight}, f"stopping changes what {package} gets:")


def _refuse_difference(described: dict[str, list[str]], message: str) -> None:
    (one, one_lines), (other, other_lines) = described.items()
    difference = list(difflib.unified_diff(one_lines, other_lines, one, other, lineterm="", n=2))
    if difference:
        raise AssertionError("\n".join([message, *difference]))


class _Stopped(Exception):
    """As a timeout of the statement after this one would."""


def _reaches_the_end(url: str, package: str) -> bool:
    try:
        migrate(url, package)
    except _Stopped:
        return False
    return True


def describe(database: Database) -> list[str]:
    """Everything the database says about its tables, a line for each column, key and constraint."""
    inspector = inspect(database.engine)
    tables = sorted(set(inspector.get_table_names()) - {"alembic_version"})
    describe_table = _describe_mysql if database.dialect_name == "mysql" else _describe_sqlite
    return [f"{table}: {line}" for table in tables for line in sorted(describe_table(database, inspector, table))]


def _describe_mysql(database: Database, inspector: Inspector, table: str) -> list[str]:
    with database.read() as session:
        definition: str = session.execute(text(f"SHOW CREATE TABLE `{table}`")).one()[1]
    return [line.strip().rstrip(",") for line in definition.splitlines()]


def _describe_sqlite(database: Database, inspector: Inspector, table: str) -> list[str]:
    facts = [
        *inspector.get_columns(table),
        inspector.get_pk_constraint(table),
        *inspector.get_foreign_keys(table),
        *inspector.get_unique_constraints(table),
        *inspector.get_indexes(table),
        *inspector.get_check_constraints(table),
    ]
    return [str(fact) for fact in facts]
