"""Users of a database get what the package declares for their role, from a user that may migrate and nothing more."""

import threading
import time

import pytest
from common.db import Database
from common.db.migrate_command import main
from common.db.revisions import read_revisions
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

pytestmark = pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)

GRANTS = """
    GRANTS = {
        "app": {"alembic_version": {"SELECT"}, "authors": {"SELECT", "INSERT", "UPDATE"}},
        "log": {"alembic_version": set(), "authors": {"INSERT"}},
    }
"""
WITH_BOOKS = """
    GRANTS = {"app": {"alembic_version": {"SELECT"}, "authors": {"SELECT"}, "books": {"SELECT", "INSERT"}}}
"""
ADD_BOOKS = """
    from alembic import op

    revision, down_revision = "0002_books", "0001_authors"

    def upgrade():
        op.execute("CREATE TABLE books (id INTEGER PRIMARY KEY)")
"""
ADD_AUTHOR = "INSERT INTO authors (id, name) VALUES (RANDOM_BYTES(16), 'Ada')"


@pytest.fixture
def package(sample_package):
    sample_package.write("migrations/grants.py", GRANTS)
    return sample_package


@pytest.fixture
def url(database_url_factory):
    return database_url_factory(None)


@pytest.fixture
def ddl(url, new_mysql_user):
    """The URL for the user that migrates."""
    return new_mysql_user(url, migrates=True)


@pytest.fixture
def app(url, new_mysql_user):
    """The URL for the user of the service."""
    return new_mysql_user(url)


def user(url):
    return make_url(url).username


@pytest.fixture
def run(ddl, package, capsys):
    """Migrates as the user that may, with these grants; gives back the exit code and what was said."""

    def run(*arguments, url=ddl):
        code = main([package.name, *arguments], {"APP_ENV": "testing", "DATABASE_URL": url})
        said = capsys.readouterr()
        return code, (said.err if code else said.out).strip()

    return run


def attempt(url, statement):
    """None, or the number of the server's refusal."""
    database = Database(url)
    try:
        with database.engine.connect() as connection:
            connection.exec_driver_sql(statement)
            connection.commit()
    except DBAPIError as error:
        return error.orig.args[0]
    finally:
        database.dispose()
    return None


def test_a_role_may_what_is_declared_and_nothing_else(run, app, package, database_url_factory):
    other = database_url_factory(None)
    assert attempt(other, "CREATE TABLE notes (a INTEGER)") is None
    assert run("--grant", f"app={user(app)}") == (
        0,
        f"{package.name}: applied 0001_authors; granted app to {user(app)}",
    )
    assert attempt(app, ADD_AUTHOR) is None
    assert attempt(app, "UPDATE authors SET name = 'Grace'") is None
    assert attempt(app, "SELECT * FROM alembic_version") is None
    assert attempt(app, "UPDATE alembic_version SET version_num = 'x'") == 1142
    assert attempt(app, "DELETE FROM authors") == 1142
    assert attempt(app, "CREATE TABLE mine (a INTEGER)") == 1142
    assert attempt(app, "DROP TABLE authors") == 1142
    assert attempt(app, "ALTER TABLE authors ADD COLUMN b INTEGER") == 1142
    assert attempt(app, f"SELECT * FROM `{make_url(other).database}`.notes") == 1142
    assert attempt(app, f"GRANT SELECT ON authors TO '{user(app)}'@'%%'") == 1142


def test_a_table_can_be_written_to_and_never_read_or_changed(run, app):
    assert run("--grant", f"log={user(app)}")[0] == 0
    assert attempt(app, ADD_AUTHOR) is None
    for statement in ("SELECT * FROM authors", "UPDATE authors SET name = 'x'", "DELETE FROM authors"):
        assert attempt(app, statement) == 1142
    assert attempt(app, "SELECT * FROM alembic_version") == 1142


def test_each_role_is_granted_to_a_user_of_its_own(run, app, url, new_mysql_user):
    log = new_mysql_user(url)
    assert run("--grant", f"app={user(app)}", "--grant", f"log={user(log)}")[0] == 0
    assert (attempt(app, "SELECT * FROM authors"), attempt(log, "SELECT * FROM authors")) == (None, 1142)


def test_grants_follow_the_declaration_when_there_is_nothing_to_apply(run, app, package):
    run()
    assert run("--grant", f"app={user(app)}")[1].endswith(f"nothing to apply; granted app to {user(app)}")
    assert attempt(app, ADD_AUTHOR) is None
    for _ in range(2):
        forget(package)
        package.write("migrations/grants.py", GRANTS.replace('"SELECT", "INSERT", "UPDATE"', '"SELECT", "DELETE"'))
        assert run("--grant", f"app={user(app)}")[0] == 0
        assert attempt(app, ADD_AUTHOR) == 1142
        assert attempt(app, "DELETE FROM authors") is None


def forget(package):
    import sys

    sys.modules.pop(f"{package.name}.migrations.grants", None)
    read_revisions.cache_clear()


def test_a_new_table_is_granted_in_the_run_that_makes_it(run, app, package):
    run("--grant", f"app={user(app)}")
    forget(package)
    package.add_second_revision(ADD_BOOKS)
    package.write("migrations/grants.py", WITH_BOOKS)
    assert run("--grant", f"app={user(app)}")[1].endswith(f"applied 0002_books; granted app to {user(app)}")
    assert attempt(app, "INSERT INTO books VALUES (1)") is None


def test_a_table_nobody_declared_is_granted_to_nobody(run, app, package):
    package.add_second_revision(ADD_BOOKS)
    assert run("--grant", f"app={user(app)}")[0] == 0
    assert attempt(app, "SELECT * FROM books") == 1142


def test_what_stays_granted_is_never_gone_for_a_moment(run, app):
    run("--grant", f"app={user(app)}")
    refusals, finish = [], threading.Event()

    def work():
        database = Database(app)
        while not finish.is_set():
            try:
                with database.read() as session:
                    session.execute(text("SELECT COUNT(*) FROM authors"))
            except DBAPIError as error:
                refusals.append(error)
        database.dispose()

    worker = threading.Thread(target=work)
    worker.start()
    for _ in range(5):
        assert run("--grant", f"app={user(app)}")[0] == 0
    finish.set()
    worker.join()
    assert refusals == []


def test_a_database_of_a_later_release_loses_nothing(run, app, url, package):
    run("--grant", f"app={user(app)}")
    assert attempt(url, f"GRANT DELETE ON authors TO '{user(app)}'@'%%'") is None
    assert attempt(url, "UPDATE alembic_version SET version_num = '0099_later'") is None
    assert run("--grant", f"app={user(app)}")[0] == 0
    assert attempt(app, "DELETE FROM authors") is None
    assert attempt(url, "RENAME TABLE authors TO writers") is None
    assert run("--grant", f"app={user(app)}")[0] == 0


def test_a_declared_table_that_does_not_exist_is_an_error(run, app, package):
    package.write("migrations/grants.py", WITH_BOOKS)
    code, said = run("--grant", f"app={user(app)}")
    assert code == 64
    assert "tables that do not exist: books" in said
    assert attempt(app, "SELECT * FROM authors") == 1044  # not even the database is open to this user


def test_an_unknown_role_is_an_error_before_anything_is_applied(run, app, url):
    code, said = run("--grant", f"reader={user(app)}")
    assert code == 64
    assert "declares no role reader; it has app, log" in said
    assert attempt(url, "SELECT * FROM authors") == 1146


def test_a_package_without_declarations_is_an_error(run, app, package):
    (package.folder / "migrations/grants.py").unlink()
    code, said = run("--grant", f"app={user(app)}")
    assert code == 64
    assert "migrations/grants.py" in said


def test_an_unknown_user_is_named(run):
    code, said = run("--grant", "app=nobody_here")
    assert code == 69
    assert "a user of --grant does not exist" in said


def test_a_user_that_may_not_grant_is_told_so(run, app, url):
    assert attempt(url, f"GRANT SELECT, CREATE, INSERT, DELETE ON *.* TO '{user(app)}'@'%%'") is None
    code, said = run("--grant", f"app={user(app)}", url=app)
    assert code == 77
    assert "GRANT command denied" in said


def test_a_user_of_one_host_is_another_user(run, app):
    assert run("--grant", f"app={user(app)}@%")[0] == 0
    assert run("--grant", f"app={user(app)}@10.0.0.0/255.0.0.0")[0] == 69


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--grant", "app"], "names no user"),
        (["--grant", "app="], "names no user"),
        (["--grant", "app=user@"], "names no user"),
        (["--grant", "app=a", "--grant", "app=b"], "granted to one user"),
        (["--check", "--grant", "app=a"], "nothing to --grant"),
        (["--wait", "-1"], "not between"),
        (["--wait", "nan"], "not between"),
        (["--wait", "soon"], "--wait"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_refused(run, capsys, arguments, fault):
    with pytest.raises(SystemExit) as refusal:
        run(*arguments)
    assert refusal.value.code == 2
    assert fault in capsys.readouterr().err


def test_a_change_of_a_table_in_use_fails_instead_of_stopping_everybody_behind_it(run, url, package, monkeypatch):
    monkeypatch.setattr("common.db.migrations.DDL_WAIT_SECONDS", 1)
    run()
    forget(package)
    package.add_second_revision()
    database = Database(url)
    with database.write() as reader:
        reader.execute(text("SELECT * FROM authors"))
        started = time.monotonic()
        code, said = run()
        waited = time.monotonic() - started
    database.dispose()
    assert code == 75
    assert "held what the migration needs" in said
    assert waited < 5
    forget(package)
    assert run()[0] == 0
