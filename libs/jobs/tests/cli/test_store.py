"""Which store a command works on, and what it says where it cannot."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from common.db import Database
from jobs.cli import jobs
from jobs.testing import StoreHarness

Run = Callable[..., Result]


def ask(*arguments: str, **env: str | None) -> Result:
    return CliRunner().invoke(jobs, [*arguments, "stats"], env={"JOB_STORES": None, "DB_TLS_CA": None, **env})


def test_without_stores_it_says_how_to_name_them() -> None:
    result = ask()
    assert result.exit_code == 2
    assert "JOB_STORES is not set" in result.stderr
    assert "export JOB_STORES=api=sqlite:///" in result.stderr


@pytest.mark.parametrize(
    ("stores", "said"),
    [
        ("nonsense", "entry 1 has to read name=url"),
        ("api=mysql://u@h/n?password_file=/not/there", "store api: password_file /not/there cannot be read"),
        ("api=sqlite:///a,auth=sqlite:///b", "Say which store: flask jobs --store api|auth ..."),
    ],
)
def test_what_is_wrong_with_the_stores_is_said(stores: str, said: str) -> None:
    result = ask(JOB_STORES=stores)
    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr


def test_a_store_that_is_not_there_is_named(run: Run) -> None:
    assert "There is no store mail: flask jobs --store api ..." in run("--store", "mail", "stats", status=2).stderr


def test_the_store_is_found_by_its_name(run: Run, store: StoreHarness, environment: dict[str, str]) -> None:
    both = f"other=sqlite:////nowhere.db,{environment['JOB_STORES']}"
    assert run("--store", "api", "stats", JOB_STORES=both).exit_code == 0


def test_no_file_is_made_of_a_wrong_path(tmp_path: Path) -> None:
    result = ask(JOB_STORES=f"api=sqlite:///{tmp_path}/gone.db")
    assert (result.exit_code, "has no file" in result.stderr) == (1, True)
    assert not list(tmp_path.iterdir())


def test_a_database_without_jobs_is_a_line(make_database: Callable[..., Database]) -> None:
    database = make_database(None)
    url = database.url.set(drivername=database.dialect_name).render_as_string(hide_password=False)
    if database.dialect_name == "sqlite":
        Path(str(database.url.database)).touch()
    result = ask(JOB_STORES=f"api={url}")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: The store's database refuses, or does not answer: ")
    assert len(result.stderr.splitlines()) == 1


def test_a_server_that_is_not_there_is_a_line_without_the_password() -> None:
    result = ask(JOB_STORES="api=mysql://u:secret@127.0.0.1:1/n")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "secret" not in result.output


@pytest.mark.parametrize("program", [["flask", "jobs"], ["jobs.cli"]], ids=" ".join)
def test_it_is_a_command_of_flask_and_a_program_and_needs_no_application(tmp_path: Path, program: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *program, "stats"],
        cwd=tmp_path,
        env={"JOB_STORES": f"api=sqlite:///{tmp_path}/gone.db"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: The store has no file")
