"""Steps of a migration that leave out what is there, so that one that stopped half-way goes on when it is run again.

MySQL commits each statement that changes the schema, and a statement may not get its table in time for the others
(migrations.py). What is there is known by its name alone: a revision made of these steps brings names that are new.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.sql.schema import SchemaItem


def create_table(name: str, *items: SchemaItem) -> None:
    """Create a table with these columns and constraints, if there is none of that name."""
    op.create_table(name, *items, if_not_exists=True)


def add_column(table: str, column: sa.Column[Any]) -> None:
    """Add a column, if the table has none of that name."""
    if column.name not in column_names(table):
        op.add_column(table, column)


def create_index(name: str, table: str, columns: list[str]) -> None:
    """Create an index, if the table has none of that name."""
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns)


def drop_index(name: str, table: str) -> None:
    """Drop an index, if the table has it."""
    if name in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.drop_index(name, table)


def column_names(table: str) -> set[str]:
    """The columns a table has now."""
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
