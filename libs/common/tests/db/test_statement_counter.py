"""The counter that other tests rely on."""

import subprocess
import sys

import pytest
from common.db import Database
from common.testing import statements as module
from common.testing.statements import statements
from sqlalchemy import text


def test_it_counts_all_statements_and_each_kind(library):
    library.database.warm()
    with statements(library.database) as counted:
        library.add("Ada")
        library.names()
        library.names()
    assert counted.total == 5
    assert counted.kinds == {"begin": 1, "insert": 1, "commit": 1, "select": 2}


def test_nothing_is_counted_as_nothing(library):
    library.database.warm()
    with statements(library.database) as counted:
        pass
    assert counted.total == 0
    assert not counted.kinds


def test_after_the_block_it_stops_counting(library):
    library.database.warm()
    with statements(library.database) as counted:
        library.names()
    library.names()
    assert counted.total == 1


def test_other_databases_do_not_count(library, database_url_factory):
    other = Database(database_url_factory(None))
    other.warm()
    library.database.warm()
    with statements(library.database) as counted, other.read() as session:
        session.scalar(text("SELECT 1"))
    assert counted.total == 0
    other.dispose()


def test_an_error_in_the_block_passes(library):
    with pytest.raises(LookupError), statements(library.database):
        raise LookupError


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_sessions_of_other_processes_count(library):
    script = """if True:
        import sys
        from common.db import Database
        from sqlalchemy import text

        database = Database(sys.argv[1])
        database.warm()
        print("ready", flush=True)
        sys.stdin.readline()
        with database.read() as session:
            session.scalar(text("SELECT 1"))
        print("done", flush=True)
        sys.stdin.readline()
    """
    command = [sys.executable, "-c", script, library.database.url.render_as_string(hide_password=False)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        process.stdout.readline()
        with statements(library.database) as counted:
            process.stdin.write("go\n")
            process.stdout.readline()
        process.stdin.write("end\n")
    assert counted.kinds == {"select": 1}


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_kinds_the_server_has_not_told_yet_are_not_waited_for_long(library, monkeypatch):
    monkeypatch.setattr(module, "_kinds", lambda *_: module.Counter())
    monkeypatch.setattr(module, "_KINDS_DELAY_SECONDS", 0.01)
    library.database.warm()
    with statements(library.database) as counted:
        library.names()
    assert counted.total == 1
    assert not counted.kinds
