"""A port in use is said in one line: which, by whom, and what to type."""

import os
import socket

import pytest
from devtools.ports import free_port, is_free, require_free
from devtools.say import Stop


@pytest.fixture
def taken():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_free_port_is_free():
    assert is_free(free_port())


def test_a_port_somebody_listens_on_is_not_free(taken):
    assert not is_free(taken)


def test_a_port_whose_last_connection_is_closing_is_free():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = server.accept()
            accepted.close()  # the side that closes first keeps the port in TIME_WAIT
    assert is_free(port)


def test_the_line_names_port_process_and_variable(taken):
    with pytest.raises(Stop) as stopped:
        require_free({"API_PORT": taken})
    line = str(stopped.value)
    assert line.startswith(f"Port {taken} is in use by process {os.getpid()} (")
    assert "make run API_PORT=" in line
    assert "\n" not in line


def test_the_port_it_proposes_is_free_and_nobody_elses(taken):
    with pytest.raises(Stop) as stopped:
        require_free({"API_PORT": taken, "AUTH_PORT": taken + 10})
    proposed = int(str(stopped.value).rpartition("=")[2])
    assert proposed not in {taken, taken + 10}
    assert is_free(proposed)


def test_two_services_on_one_port_are_told_apart():
    port = free_port()
    with pytest.raises(Stop, match=f"API_PORT and AUTH_PORT are both {port}"):
        require_free({"API_PORT": port, "AUTH_PORT": port})
