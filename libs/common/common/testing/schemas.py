"""Whether the migrations of a package make the very tables its models describe."""

import difflib
from collections.abc import Callable

from sqlalchemy import Inspector, MetaData, inspect, text

from common.db import Database
from common.testing.databases import Schema


def assert_models_match_migrations(
    make_database: Callable[[Schema], Database], package: str, *metadata: MetaData
) -> None:
    """Compare a database made by the package's migrations with one made from its models.

    Both are asked what they hold, so everything counts that the database knows: types, defaults, generated columns,
    keys, names of constraints, collations. Only the order of columns is free. The difference is in the error.
    """
    migrated = describe(make_database(package))
    modelled = describe(make_database(metadata))
    difference = list(difflib.unified_diff(migrated, modelled, "migrations", "models", lineterm="", n=2))
    if difference:
        raise AssertionError("\n".join(["the migrations and the models of " + package + " differ:", *difference]))


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
