"""What sessions send, what they refuse and what remains of them."""

import subprocess
import sys
from uuid import uuid4

import pytest
from common.db import Database, ReadOnlySessionError
from common.testing.statements import statements
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError


@pytest.fixture(autouse=True)
def _warm(library):
    library.database.warm()


def test_a_read_is_one_statement(library):
    with statements(library.database) as counted, library.database.read() as session:
        session.scalars(select(library.Author)).all()
    assert counted.total == 1
    assert counted.kinds == {"select": 1}


def test_each_read_of_a_session_is_one_statement(library):
    with statements(library.database) as counted, library.database.read() as session:
        for _ in range(3):
            session.scalars(select(library.Author)).all()
    assert counted.total == 3


def test_a_write_of_one_row_is_begin_insert_commit(library):
    with statements(library.database) as counted:
        library.add("Ada")
    assert counted.total == 3
    assert counted.kinds == {"begin": 1, "insert": 1, "commit": 1}
    assert library.names() == ["Ada"]


def test_a_write_without_commit_is_rolled_back(library):
    with statements(library.database) as counted, library.database.write() as session:
        session.add(library.Author(id=uuid4(), name="Ada"))
        session.flush()
    assert counted.kinds == {"begin": 1, "insert": 1, "rollback": 1}
    assert library.names() == []


def test_an_error_in_the_block_rolls_back(library):
    def fail_after_a_write():
        with library.database.write() as session:
            session.add(library.Author(id=uuid4(), name="Ada"))
            session.flush()
            raise LookupError

    with pytest.raises(LookupError):
        fail_after_a_write()
    assert library.names() == []


def test_a_refused_row_rolls_back_what_came_before_it(library):
    library.add("Ada")
    with library.database.write() as session:
        session.add(library.Author(id=uuid4(), name="Bob"))
        session.flush()
        session.add(library.Author(id=uuid4(), name="Ada"))
        with pytest.raises(IntegrityError):
            session.commit()
    assert library.names() == ["Ada"]


def test_a_session_that_does_nothing_sends_nothing(library):
    with statements(library.database) as counted:
        with library.database.read():
            pass
        with library.database.write() as session:
            session.commit()
    assert counted.total == 0


def test_objects_are_usable_after_the_commit_without_another_statement(library):
    with library.database.write() as session:
        author = library.Author(id=uuid4(), name="Ada")
        session.add(author)
        session.commit()
        with statements(library.database) as counted:
            assert author.name == "Ada"
    assert counted.total == 0


def test_what_one_session_left_uncommitted_is_not_seen_by_the_next(library):
    with library.database.write() as session:
        session.add(library.Author(id=uuid4(), name="Ada"))
        session.flush()
    with library.database.write() as session:
        assert session.scalars(select(library.Author)).all() == []


def test_a_read_session_refuses_to_flush(library):
    library.add("Ada")
    with library.database.read() as session:
        session.scalars(select(library.Author)).one().name = "Bob"
        with pytest.raises(ReadOnlySessionError, match="write session"):
            session.flush()
    with library.database.read() as session:
        session.add(library.Author(id=uuid4(), name="Cy"))
        with pytest.raises(ReadOnlySessionError):
            session.flush()
    assert library.names() == ["Ada"]


def test_a_read_session_refuses_to_commit(library):
    with library.database.read() as session, pytest.raises(ReadOnlySessionError):
        session.commit()


def test_a_read_session_refuses_core_writes_and_row_locks(library):
    library.add("Ada")
    author = library.Author
    writes = [
        insert(author).values(id=uuid4(), name="Bob"),
        insert(author.__table__).values(id=uuid4(), name="Bob"),
        update(author).values(name="Bob"),
        author.__table__.delete(),
        text("UPDATE authors SET name = 'Bob'"),
        text("/* a remark */ DELETE FROM authors"),
        text("SELECT name FROM authors FOR UPDATE"),
        text("DROP TABLE books"),
    ]
    for write in writes:
        with library.database.read() as session, pytest.raises(ReadOnlySessionError):
            session.execute(write)
    assert library.names() == ["Ada"]


def test_a_read_session_refuses_bulk_and_many_row_writes(library):
    rows = [{"id": uuid4(), "name": name} for name in ("Ada", "Bob")]
    with library.database.read() as session, pytest.raises(ReadOnlySessionError):
        session.execute(insert(library.Author.__table__), rows)
    with library.database.read() as session, pytest.raises(ReadOnlySessionError):
        session.bulk_insert_mappings(library.Author, rows)
    assert library.names() == []


def test_a_read_session_refuses_writes_through_the_driver(library):
    marker = "%s" if library.database.dialect_name == "mysql" else "?"
    statement = f"INSERT INTO authors (id, name) VALUES ({marker}, {marker})"
    rows = [(uuid4().bytes, "Ada"), (uuid4().bytes, "Bob")]
    for parameters in (rows[0], rows):
        with library.database.read() as session, pytest.raises(ReadOnlySessionError):
            session.connection().exec_driver_sql(statement, parameters)
    with library.database.read() as session, pytest.raises(ReadOnlySessionError):
        session.connection().exec_driver_sql("DELETE FROM authors", execution_options={"no_parameters": True})
    with library.database.read() as session, pytest.raises(ReadOnlySessionError):
        session.execute(text("DELETE FROM authors"), execution_options={"read_only": False})
    assert library.names() == []


def test_a_write_session_sends_many_rows_through_the_driver(library):
    marker = "%s" if library.database.dialect_name == "mysql" else "?"
    rows = [(uuid4().bytes, name) for name in ("Ada", "Bob")]
    with library.database.write() as session:
        session.connection().exec_driver_sql(f"INSERT INTO authors (id, name) VALUES ({marker}, {marker})", rows)
        session.commit()
    assert library.names() == ["Ada", "Bob"]


def test_statements_without_parameters_run_in_both_kinds_of_session(library):
    options = {"no_parameters": True}
    with library.database.read() as session:
        assert session.connection().exec_driver_sql("SELECT 1", execution_options=options).scalar() == 1
    with library.database.write() as session:
        assert session.connection().exec_driver_sql("SELECT '%'", execution_options=options).scalar() == "%"


def test_new_session_gives_the_kind_that_was_asked_for(library):
    reading, writing = library.database.new_session(read_only=True), library.database.new_session(read_only=False)
    writing.add(library.Author(id=uuid4(), name="Ada"))
    writing.commit()
    assert reading.scalars(select(library.Author.name)).all() == ["Ada"]
    with pytest.raises(ReadOnlySessionError):
        reading.commit()
    reading.close()
    writing.close()


def test_core_reads_work_on_the_read_engine(library):
    library.add("Ada")
    with statements(library.database) as counted, library.database.read_engine.connect() as connection:
        assert connection.scalar(text("SELECT name FROM authors")) == "Ada"
    assert counted.total == 1


def test_core_statements_commit_one_by_one_on_the_statement_engine(library):
    library.database.warm()
    with statements(library.database) as counted, library.database.statement_engine.connect() as connection:
        connection.execute(insert(library.Author).values(id=uuid4(), name="Ada"))
        with library.database.read() as other:
            assert other.scalars(select(library.Author.name)).all() == ["Ada"]
    assert counted.kinds == {"insert": 1, "select": 1}


def test_a_savepoint_can_fail_alone(library):
    library.add("Ada")
    with library.database.write() as session:
        session.add(library.Author(id=uuid4(), name="Bob"))
        session.flush()
        with pytest.raises(IntegrityError), session.begin_nested():
            session.add(library.Author(id=uuid4(), name="Ada"))
        session.commit()
    assert library.names() == ["Ada", "Bob"]


def test_the_url_hides_the_password_when_printed(library):
    assert "test:test" not in f"{library.database.url} {library.database.engine!r}"


def test_errors_do_not_show_what_users_typed(library):
    with library.database.read() as session, pytest.raises(DBAPIError) as failure:
        session.execute(text("SELECT :secret FROM no_such_table"), {"secret": "hunter2"})
    assert "hunter2" not in str(failure.value)


def test_after_dispose_the_database_opens_new_connections(library):
    library.database.dispose()
    assert library.names() == []


def test_a_forked_child_uses_connections_of_its_own(library):
    script = """if True:
        import os, sys
        from uuid import uuid4
        from common.db import Database
        from sqlalchemy import text

        database = Database(sys.argv[1])

        def add(name):
            row = {"id": uuid4().bytes, "name": name}
            with database.write() as session:
                session.execute(text("INSERT INTO authors (id, name) VALUES (:id, :name)"), row)
                session.commit()
        database.warm()
        child = os.fork()
        for number in range(20):
            add(("parent " if child else "child ") + str(number))
        if child:
            sys.exit(os.waitpid(child, 0)[1])
    """
    url = library.database.url.render_as_string(hide_password=False)
    subprocess.run([sys.executable, "-c", script, url], check=True)
    assert len(library.names()) == 40


def test_opening_a_database_connects_to_nothing():
    database = Database("mysql+pymysql://nobody@127.0.0.1:1/none", pool_size=2)
    assert database.dialect_name == "mysql"
    database.dispose()
