"""Which MySQL servers count, and what is said of those that do not."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from devtools.mysql import cli, debian, docker, find, programs
from devtools.mysql.errors import NoMySQL, Unavailable
from devtools.mysql.handshake import server_version
from devtools.mysql.leftovers import discard_leftovers, home_of_tests
from devtools.ports import free_port

Greet = Callable[[bytes], int]


@pytest.fixture
def greet() -> Iterator[Greet]:
    """Starts servers that say one thing to whoever comes; returns their port."""
    servers: list[socket.socket] = []

    def start(greeting: bytes) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)
        threading.Thread(target=answer, args=(server, greeting), daemon=True).start()
        port: int = server.getsockname()[1]
        return port

    yield start
    for server in servers:
        server.close()


def answer(server: socket.socket, greeting: bytes) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.sendall(greeting)


def handshake(version: bytes) -> bytes:
    return bytes([len(version) + 2, 0, 0, 0, 10]) + version + b"\0" + b"salt"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts programs on an otherwise empty PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(programs, "SERVER_FOLDERS", ())

    def put(name: str, script: str) -> None:
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    return put


def test_a_server_s_first_packet_tells_its_version(greet):
    assert server_version("127.0.0.1", greet(handshake(b"9.7.4"))) == "9.7.4"


@pytest.mark.parametrize("greeting", [b"", b"\x00", b"HTTP/1.1 400 Bad Request\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"])
def test_what_greets_otherwise_is_no_server(greet, greeting):
    assert server_version("127.0.0.1", greet(greeting)) is None


def test_nobody_listening_is_no_server():
    assert server_version("127.0.0.1", free_port()) is None


def test_a_named_server_that_answers_is_taken_as_it_is(greet):
    url = f"mysql+pymysql://u:p@127.0.0.1:{greet(handshake(b'8.4.6'))}/test"
    assert find.named_server({"TEST_MYSQL_URL": url}) == url


def test_no_named_server_is_none():
    assert find.named_server({}) is None
    assert find.named_server({"TEST_MYSQL_URL": " "}) is None


def test_a_named_server_that_does_not_answer_is_an_error_and_nothing_else_is_tried():
    port = free_port()
    with pytest.raises(NoMySQL, match=f"TEST_MYSQL_URL names 127.0.0.1:{port}, but nothing answers there"):
        find.named_server({"TEST_MYSQL_URL": f"mysql+pymysql://u:p@127.0.0.1:{port}/test"})


def test_a_named_mariadb_does_not_count(greet):
    port = greet(handshake(b"5.5.5-10.11.19-MariaDB"))
    with pytest.raises(NoMySQL, match=r"but a MariaDB .5.5.5-10.11.19-MariaDB. answers there"):
        find.named_server({"TEST_MYSQL_URL": f"mysql+pymysql://u:p@127.0.0.1:{port}/test"})


def test_the_password_of_a_named_server_is_in_no_message():
    with pytest.raises(NoMySQL) as error:
        find.named_server({"TEST_MYSQL_URL": f"mysql+pymysql://u:s3cret@127.0.0.1:{free_port()}/test"})
    assert "s3cret" not in str(error.value)


def test_a_mysqld_on_path_counts(path):
    path("mysqld", "echo 'mysqld  Ver 9.7.4 for Linux on x86_64 (MySQL Community Server - GPL)'")
    assert programs.installed().call("--port=1")[1:] == ["--no-defaults", "--port=1"]


def test_a_mariadb_named_mysqld_does_not_count(path):
    path("mysqld", "echo 'mysqld  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu'")
    with pytest.raises(Unavailable, match="is MariaDB, not MySQL"):
        programs.installed()


def test_a_mysqld_that_does_not_run_does_not_count(path):
    path("mysqld", "echo 'error while loading shared libraries: libaio.so.1' >&2; exit 127")
    with pytest.raises(Unavailable, match="does not run: error while loading shared libraries"):
        programs.installed()


def test_a_docker_client_without_an_engine_does_not_count(path):
    path("docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    with pytest.raises(Unavailable, match="there is a docker client, but no Docker engine answers it"):
        docker.require_engine()


def test_a_docker_client_that_answers_for_itself_only_does_not_count(path):
    path("docker", "exit 0")
    with pytest.raises(Unavailable, match="no Docker engine answers"):
        docker.require_engine()


def test_no_docker_is_said(path):
    with pytest.raises(Unavailable, match="no docker on PATH"):
        docker.require_engine()


def test_where_it_is_not_debian_its_packages_are_not_tried(monkeypatch, tmp_path):
    monkeypatch.setattr(debian.platform, "freedesktop_os_release", lambda: {"ID": "fedora"})
    with pytest.raises(Unavailable, match="this is not Debian"):
        debian.fetched(tmp_path / "debian")


def test_where_nothing_works_every_way_is_named_with_its_reason(path, monkeypatch, tmp_path):
    monkeypatch.setenv("REDPRINT_MYSQL_DIR", str(tmp_path / "mysql"))
    monkeypatch.setattr(debian.platform, "freedesktop_os_release", lambda: {"ID": "fedora"})
    with pytest.raises(NoMySQL) as error:
        find.start(tmp_path / "data", free_port(), keep=False)
    assert str(error.value) == (
        "no mysqld on PATH; no docker on PATH; this is not Debian, so its packages cannot be used"
    )


def test_a_folder_of_somebody_else_is_not_used(monkeypatch, tmp_path):
    monkeypatch.setenv("REDPRINT_MYSQL_DIR", str(tmp_path))
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(Unavailable, match="belongs to somebody else"):
        find.base_folder()


@pytest.mark.parametrize("arguments", [[], ["sideways"], ["up", "down"]])
def test_a_wrong_call_shows_how_it_is_called(arguments, capsys):
    assert cli.main(arguments) == 2
    assert capsys.readouterr().err.startswith("usage: scripts/mysql up|down|url|fetch\n")


def test_a_port_of_somebody_else_is_said(greet, monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("TEST_MYSQL_URL", raising=False)
    monkeypatch.setenv("REDPRINT_MYSQL_DIR", str(tmp_path))
    port = greet(handshake(b"9.7.4"))
    monkeypatch.setenv("MYSQL_PORT", str(port))
    assert cli.main(["up"]) == 1
    assert capsys.readouterr().err == (
        f"No MySQL: port {port} is in use by another server; choose one with MYSQL_PORT.\n"
    )


def test_data_of_a_test_run_that_is_gone_is_deleted_and_of_one_that_runs_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("REDPRINT_MYSQL_DIR", str(tmp_path))
    gone = home_of_tests(2**22 + 1)  # above the largest process id there is
    mine = home_of_tests(os.getpid())
    for home in (gone, mine):
        (home / "data").mkdir(parents=True)
    discard_leftovers()
    assert (gone.exists(), mine.exists()) == (False, True)
