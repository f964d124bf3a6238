"""Schemas are brought to the newest revision once, whoever asks and however many at once."""

import subprocess
import sys
import threading
from textwrap import dedent

import pytest
from alembic.script import ScriptDirectory
from common.db import Database, migrate, schema_is_current
from common.db.migration_lock import LockNotAcquiredError, locked_connection
from common.db.revisions import MigrationsNotFoundError, read_revisions
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError


@pytest.fixture
def url(database_url_factory):
    return database_url_factory(None)


@pytest.fixture
def database(url):
    database = Database(url)
    yield database
    database.dispose()


def tables(database):
    return sorted(inspect(database.engine).get_table_names())


def columns(database, table):
    return [column["name"] for column in inspect(database.engine).get_columns(table)]


def test_all_revisions_are_applied_in_order_and_named(sample_package, url, database):
    sample_package.add_second_revision()
    assert migrate(url, sample_package.name) == ["0001_authors", "0002_born"]
    assert columns(database, "authors") == ["id", "name", "born"]


def test_a_second_run_applies_nothing(sample_package, url, database):
    migrate(url, sample_package.name)
    assert migrate(url, sample_package.name) == []
    assert tables(database) == ["alembic_version", "authors"]


def test_only_what_is_new_is_applied(sample_package, url):
    migrate(url, sample_package.name)
    sample_package.add_second_revision()
    read_revisions.cache_clear()
    assert migrate(url, sample_package.name) == ["0002_born"]


def test_migrated_tables_on_mysql_have_our_collation(sample_package, url, database):
    migrate(url, sample_package.name)
    if database.dialect_name == "mysql":
        with database.read() as session:
            definition = session.execute(text("SHOW CREATE TABLE authors")).one()[1]
        assert "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_bin" in definition


def test_many_at_once_apply_each_revision_once(sample_package, url, database):
    sample_package.add_second_revision()
    script = "import sys; from common.db import migrate; print(*migrate(sys.argv[1], sys.argv[2]))"
    command = [sys.executable, "-c", script, url, sample_package.name]
    processes = [
        subprocess.Popen(command, cwd=sample_package.folder.parent, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    outputs = [process.communicate(timeout=60)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    assert sorted(outputs) == [[], [], [], ["0001_authors", "0002_born"]]
    assert columns(database, "authors") == ["id", "name", "born"]


def test_who_waits_too_long_for_the_lock_is_told(sample_package, url, database):
    started, finish = threading.Event(), threading.Event()

    def hold():
        with locked_connection(database.engine, wait_seconds=1):
            started.set()
            finish.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    started.wait(10)
    with pytest.raises(LockNotAcquiredError, match="another process has been migrating"):
        migrate(url, sample_package.name, lock_wait_seconds=0)
    finish.set()
    holder.join()
    assert migrate(url, sample_package.name, lock_wait_seconds=0) == ["0001_authors"]


def test_the_lock_is_free_again_after_a_failure(sample_package, url):
    sample_package.add_second_revision("revision, down_revision = '0002', '0001_authors'\ndef upgrade(): 1 / 0\n")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            migrate(url, sample_package.name, lock_wait_seconds=0)


def test_a_failed_revision_keeps_those_before_it(sample_package, url, database):
    sample_package.add_second_revision(
        """
        from alembic import op

        revision, down_revision = "0002", "0001_authors"

        def upgrade():
            op.execute("CREATE TABLE extra (a INTEGER)")
            op.execute("SELECT nonsense")
        """
    )
    with pytest.raises(DBAPIError):
        migrate(url, sample_package.name)
    with database.read() as session:
        assert session.scalars(text("SELECT version_num FROM alembic_version")).all() == ["0001_authors"]
    # MySQL commits each DDL statement by itself; SQLite takes the whole revision back.
    assert ("extra" in tables(database)) == (database.dialect_name == "mysql")


def test_changing_a_table_keeps_the_rows_that_point_to_it(sample_package, url, database):
    sample_package.write(
        "migrations/versions/0001_authors.py",
        """
        from alembic import op

        revision, down_revision = "0001_authors", None

        def upgrade():
            op.execute("CREATE TABLE authors (id INTEGER PRIMARY KEY)")
            op.execute("CREATE TABLE books (id INTEGER PRIMARY KEY, author_id INTEGER,"
                       " FOREIGN KEY (author_id) REFERENCES authors (id) ON DELETE CASCADE)")
            op.execute("INSERT INTO authors VALUES (1)")
            op.execute("INSERT INTO books VALUES (1, 1)")
        """,
    )
    sample_package.add_second_revision(
        """
        from alembic import op
        import sqlalchemy as sa

        revision, down_revision = "0002", "0001_authors"

        def upgrade():
            with op.batch_alter_table("authors", recreate="auto") as authors:
                authors.add_column(sa.Column("name", sa.String(10), server_default="x", nullable=False))
                authors.alter_column("name", type_=sa.String(20), existing_type=sa.String(10), existing_nullable=False)
        """
    )
    assert migrate(url, sample_package.name) == ["0001_authors", "0002"]
    with database.read() as session:
        assert session.execute(text("SELECT id, author_id FROM books")).all() == [(1, 1)]
    with database.write() as session, pytest.raises(IntegrityError):
        session.execute(text("INSERT INTO books VALUES (2, 9)"))


@pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)
def test_a_revision_that_leaves_orphans_is_taken_back(sample_package, url, database):
    sample_package.add_second_revision(
        """
        from alembic import op

        revision, down_revision = "0002", "0001_authors"

        def upgrade():
            op.execute("CREATE TABLE books (author_id BLOB REFERENCES authors (id))")
            op.execute("INSERT INTO books VALUES (x'00')")
        """
    )
    with pytest.raises(RuntimeError, match="without their parents"):
        migrate(url, sample_package.name)
    assert "books" not in tables(database)


@pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)
def test_the_folder_of_a_sqlite_file_is_made(sample_package, tmp_path, database_backend):
    url = f"sqlite:///{tmp_path}/deep/down/file.db"
    assert migrate(url, sample_package.name) == ["0001_authors"]


def test_the_newest_revision_is_current(sample_package, url, database):
    migrate(url, sample_package.name)
    assert schema_is_current(database, sample_package.name)


def test_an_empty_database_is_not_current(sample_package, database):
    assert not schema_is_current(database, sample_package.name)


def test_a_database_whose_revision_was_taken_away_is_not_current(sample_package, url, database):
    migrate(url, sample_package.name)
    with database.write() as session:
        session.execute(text("DELETE FROM alembic_version"))
        session.commit()
    assert not schema_is_current(database, sample_package.name)


def test_an_older_revision_is_not_current(sample_package, url, database):
    sample_package.add_second_revision()
    migrate(url, sample_package.name)
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0001_authors'"))
        session.commit()
    assert not schema_is_current(database, sample_package.name)


def test_a_revision_unknown_to_this_code_is_newer_and_current(sample_package, url, database):
    migrate(url, sample_package.name)
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0099_future'"))
        session.commit()
    assert schema_is_current(database, sample_package.name)
    assert migrate(url, sample_package.name) == []
    with database.read() as session:
        assert session.scalar(text("SELECT version_num FROM alembic_version")) == "0099_future"


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_a_database_that_does_not_answer_is_neither(sample_package, database_backend):
    database = Database("mysql+pymysql://user@127.0.0.1:1/name")
    with pytest.raises(OperationalError):
        schema_is_current(database, sample_package.name)


@pytest.mark.parametrize("package", ["no_such_package", "common", "common.no.such", ""])
def test_a_package_without_migrations_is_named(package, tmp_path):
    with pytest.raises(MigrationsNotFoundError, match=package or "package"):
        migrate(f"sqlite:///{tmp_path}/file.db", package)


def test_a_folder_with_a_percent_sign_is_found(tmp_path, monkeypatch):
    folder = tmp_path / "100%s" / "percent_package"
    (folder / "migrations/versions").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "migrations/env.py").write_text(
        dedent("""
            from common.db.migrations import run_migrations
            run_migrations()
        """)
    )
    monkeypatch.syspath_prepend(folder.parent)
    assert migrate(f"sqlite:///{tmp_path}/file.db", "percent_package") == []


def test_what_is_known_of_revisions_is_what_alembic_knows(sample_package):
    sample_package.add_second_revision()
    sample_package.write(
        "migrations/versions/0003_merge.py", "revision: str = '0003'\ndown_revision = ('0002_born', 'b')\n"
    )
    sample_package.write("migrations/versions/branch.py", "revision = 'b'\ndown_revision = '0001_authors'\n")
    sample_package.write("migrations/versions/other.py", "revision = 'other'\ndown_revision: str | None = None\n")
    scripts = ScriptDirectory(str(sample_package.folder / "migrations"))
    revisions = read_revisions(sample_package.name)
    assert revisions.known == {script.revision for script in scripts.walk_revisions()}
    assert revisions.heads == set(scripts.get_heads()) == {"0003", "other"}


def test_a_service_that_asks_whether_it_is_ready_does_not_load_alembic():
    script = "import sys, common.db; sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_revision_file_that_hides_its_revision_is_named(sample_package):
    sample_package.write("migrations/versions/__init__.py", "")
    assert read_revisions(sample_package.name).heads == {"0001_authors"}
    read_revisions.cache_clear()
    sample_package.write("migrations/versions/odd.py", "revision = str(5)\nprint(1)\n")
    with pytest.raises(ValueError, match=r"odd\.py does not say its revision"):
        read_revisions(sample_package.name)


def test_a_revision_too_long_for_mysql_is_refused_on_both(sample_package):
    sample_package.write("migrations/versions/long.py", f"revision = '{'a' * 33}'\ndown_revision = '0001_authors'\n")
    with pytest.raises(ValueError, match=r"long\.py: a revision has at most 32 characters"):
        read_revisions(sample_package.name)
