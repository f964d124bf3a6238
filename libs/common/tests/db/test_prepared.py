"""Statements whose text is made once: the values are converted as ever, whatever the dialect."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from common.db import Database
from common.db.prepared import Prepared
from sqlalchemy import bindparam, insert, select
from sqlalchemy.exc import IntegrityError


@pytest.fixture
def add(library):
    authors = library.Author.__table__
    statement = insert(authors).values(
        id=bindparam("id", type_=authors.c.id.type),
        name=bindparam("name", type_=authors.c.name.type),
        born_at=bindparam("born_at", datetime(1815, 12, 10, tzinfo=UTC), type_=authors.c.born_at.type),
    )
    return Prepared(statement)


def test_values_are_converted_and_those_of_the_statement_itself_put_in(library, add):
    first, second = uuid4(), uuid4()
    with library.database.statement_engine.connect() as connection:
        add.execute(connection, {"id": first, "name": "100 % Zoë's ? :name"})
        result = add.execute(connection, {"id": second, "name": "Ada"})
    assert result.rowcount == 1
    with library.database.read() as session:
        found = session.scalars(select(library.Author).order_by(library.Author.name)).all()
    assert [(each.id, each.name) for each in found] == [(first, "100 % Zoë's ? :name"), (second, "Ada")]
    assert {each.born_at for each in found} == {datetime(1815, 12, 10, tzinfo=UTC)}


def test_a_value_that_is_missing_is_an_error_before_anything_is_sent(library, add):
    with library.database.statement_engine.connect() as connection, pytest.raises(KeyError, match="id"):
        add.execute(connection, {"name": "Ada"})
    assert library.names() == []


def test_errors_are_those_of_any_statement(library, add):
    same = {"id": uuid4(), "name": "Ada"}
    with library.database.write() as session:
        add.execute(session.connection(), same)
        with pytest.raises(IntegrityError):
            add.execute(session.connection(), same)
        session.commit()
    assert library.names() == ["Ada"]


def test_one_statement_serves_databases_of_either_kind(library, add, tmp_path):
    other = Database(f"sqlite:///{tmp_path}/other.db")
    library.Author.metadata.create_all(other.engine)
    for database in (library.database, other, library.database, other):
        with database.statement_engine.connect() as connection:
            add.execute(connection, {"id": uuid4(), "name": f"Ada {uuid4()}"})
    for database in (library.database, other):
        assert len(type(library)(database).names()) == 2
    other.dispose()
