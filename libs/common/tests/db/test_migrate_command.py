"""The command that migrates: one line that says what happened, and an exit code to act on."""

import subprocess
import sys
from pathlib import Path

import pytest
from common.db import migrate
from common.db.migrate_command import main
from common.db.migration_lock import LockNotAcquiredError
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError


@pytest.fixture
def url(database_url_factory):
    return database_url_factory(None)


@pytest.fixture
def run(capsys):
    """Runs the command; gives back its exit code and what it said, which is one line."""

    def run(url, *arguments):
        code = main(arguments, {"APP_ENV": "testing", "DATABASE_URL": url})
        output = capsys.readouterr()
        said = output.err if code else output.out
        assert (output.out + output.err).count("\n") == 1
        assert "test:test@" not in said
        return code, said.strip()

    return run


def test_it_says_what_was_applied(run, url, sample_package):
    name = sample_package.name
    assert run(url, name) == (0, f"{name}: applied 0001_authors")
    assert run(url, name) == (0, f"{name}: nothing to apply")


def test_check_changes_nothing_and_exits_3_until_the_schema_is_current(capsys, url, sample_package):
    name = sample_package.name
    env = {"APP_ENV": "testing", "DATABASE_URL": url}
    assert main([name, "--check"], env) == 3
    assert capsys.readouterr().out == f"{name}: the schema is not current\n"
    assert url.startswith("mysql") or not Path(make_url(url).database).exists()
    assert main([name], env) == 0
    assert main([name, "--check"], env) == 0
    assert capsys.readouterr().out.endswith(f"{name}: the schema is current\n")


def test_an_unknown_package_is_named(run, url):
    code, said = run(url, "no_such_package")
    assert code == 64
    assert "no_such_package" in said


def test_a_url_it_cannot_use_is_a_configuration_error(capsys, sample_package):
    with pytest.raises(SystemExit) as refusal:
        main([sample_package.name], {"APP_ENV": "testing", "DATABASE_URL": "postgresql://user:secret@db/name"})
    said = capsys.readouterr().err
    assert refusal.value.code == 78
    assert "mysql+pymysql://" in said
    assert "secret" not in said


def test_a_missing_url_is_a_configuration_error(capsys, sample_package):
    with pytest.raises(SystemExit) as refusal:
        main([sample_package.name], {"APP_ENV": "testing"})
    assert refusal.value.code == 78
    assert "DATABASE_URL" in capsys.readouterr().err


def test_an_unreachable_server_is_named(run, sample_package):
    code, said = run("mysql+pymysql://user:secret@127.0.0.1:1/name", sample_package.name)
    assert code == 69
    assert "cannot reach the database at 127.0.0.1:1" in said


def test_an_unknown_host_is_named(run, sample_package, monkeypatch):
    def refuse(*_, **__):
        from pymysql.err import OperationalError as DriverError

        raise OperationalError("", {}, DriverError(2005, "Unknown MySQL server host 'db'"))

    monkeypatch.setattr("common.db.migrate_command.migrate", refuse)
    code, said = run("mysql+pymysql://user:secret@db/name", sample_package.name)
    assert code == 69
    assert "db:3306" in said


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_a_denied_user_is_named_without_the_password(run, url, sample_package):
    denied = make_url(url).set(username="nobody", password="secret").render_as_string(hide_password=False)
    code, said = run(denied, sample_package.name)
    assert code == 77
    assert "denies it to user nobody" in said
    assert "secret" not in said


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_a_missing_database_is_named(run, url, sample_package):
    code, said = run(make_url(url).set(database="not_there").render_as_string(hide_password=False), sample_package.name)
    assert code == 69
    assert "there is no database not_there" in said


def test_a_server_that_takes_only_tls_names_the_setting(run, sample_package, monkeypatch):
    def refuse(*_, **__):
        from pymysql.err import OperationalError as DriverError

        raise OperationalError("", {}, DriverError(3159, "Connections using insecure transport are prohibited"))

    monkeypatch.setattr("common.db.migrate_command.migrate", refuse)
    code, said = run("mysql+pymysql://user:secret@db/name", sample_package.name)
    assert code == 78
    assert "DB_TLS_CA" in said


def test_a_failing_revision_gives_the_database_s_own_words(run, url, sample_package):
    sample_package.add_second_revision(
        """
        from alembic import op

        revision, down_revision = "0002", "0001_authors"

        def upgrade():
            op.execute("SELECT nonsense")
        """
    )
    code, said = run(url, sample_package.name)
    assert code == 1
    assert "nonsense" in said


def test_a_lock_held_by_another_says_to_try_again(run, url, sample_package, monkeypatch):
    def refuse(*_, **__):
        raise LockNotAcquiredError("another process has been migrating")

    monkeypatch.setattr("common.db.migrate_command.migrate", refuse)
    assert run(url, sample_package.name) == (75, "error: another process has been migrating")


def test_a_folder_that_cannot_be_made_is_named(run, tmp_path, sample_package):
    (tmp_path / "file").touch()
    code, said = run(f"sqlite:///{tmp_path}/file/deep/api.db", sample_package.name)
    assert code == 73
    assert f"{tmp_path}/file" in said


def test_a_file_that_is_no_database_is_named(run, tmp_path, sample_package):
    (tmp_path / "text.db").write_text("not a database " * 100)
    code, said = run(f"sqlite:///{tmp_path}/text.db", sample_package.name)
    assert code == 1
    assert "text.db" in said


def test_it_runs_as_a_module(sample_package, tmp_path):
    url = f"sqlite:///{tmp_path}/api.db"
    migrate(url, sample_package.name)
    done = subprocess.run(
        [sys.executable, "-m", "common.db.migrate", sample_package.name],
        env={"APP_ENV": "testing", "DATABASE_URL": url},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{sample_package.name}: nothing to apply\n"
