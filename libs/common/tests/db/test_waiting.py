"""The migration waits for a database that is only starting, and for nothing else."""

import socket
import threading
import time
from contextlib import suppress

import pytest
from common.db.migrate_command import main
from sqlalchemy import make_url


@pytest.fixture
def run(sample_package, capsys):
    def run(url, seconds):
        started = time.monotonic()
        code = main([sample_package.name, "--wait", str(seconds)], {"APP_ENV": "testing", "DATABASE_URL": url})
        return code, capsys.readouterr(), time.monotonic() - started

    return run


class Door:
    """A port that leads to another one once it is opened."""

    def __init__(self, port, target):
        self.port, self._target = port, target

    def open(self):
        listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()

    def _serve(self, listener):
        listener.settimeout(20)
        with listener:
            for _ in range(2):  # the connection that waited, and the one that migrates
                inside, _ = listener.accept()
                outside = socket.create_connection(self._target)
                for source, sink in ((inside, outside), (outside, inside)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source, sink):
        with suppress(OSError):  # the other side was closed first
            while data := source.recv(65536):
                sink.sendall(data)
        sink.close()


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_a_server_that_comes_up_meanwhile_is_migrated(run, database_url_factory, free_port):
    url = make_url(database_url_factory(None))
    door = Door(free_port(), (url.host, url.port or 3306))
    opener = threading.Timer(1.2, door.open)
    opener.start()
    behind = url.set(host="127.0.0.1", port=door.port).render_as_string(hide_password=False)
    code, said, seconds = run(behind, 30)
    opener.join()
    assert code == 0
    assert said.out.endswith("applied 0001_authors\n")
    assert said.err.startswith(f"waiting up to 30 s: cannot reach the database at 127.0.0.1:{door.port}")
    assert said.err.count("\n") == 1
    assert 1.2 <= seconds < 15


def test_what_never_comes_up_is_given_up_after_the_time(run, free_port):
    code, said, seconds = run(f"mysql+pymysql://user:secret@127.0.0.1:{free_port()}/name", 1.2)
    assert code == 69
    assert "error: cannot reach the database" in said.err
    assert "secret" not in said.err
    assert 0.5 <= seconds < 10


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
@pytest.mark.parametrize(("change", "code"), [({"password": "wrong"}, 77), ({"database": "not_there"}, 69)])
def test_an_answer_is_not_waited_for(run, database_url_factory, change, code):
    url = make_url(database_url_factory(None)).set(**change).render_as_string(hide_password=False)
    given, said, seconds = run(url, 60)
    assert given == code
    assert said.err.startswith("error: ")
    assert seconds < 10


def test_sqlite_is_always_there(run, tmp_path):
    code, said, _ = run(f"sqlite:///{tmp_path}/deep/api.db", 60)
    assert code == 0
    assert said.err == ""
