"""Who has which port of this machine."""

import socket
from collections.abc import Mapping

import psutil

from devtools.say import Stop

HOST = "127.0.0.1"


def free_port() -> int:
    """Return a port nobody has at this moment; somebody may take it before you do."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Tell whether a server could listen there; connections that are merely closing do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def require_free(wanted: Mapping[str, int]) -> None:
    """Stop with one line unless every port is free; `wanted` maps the variable that chooses a port to the port."""
    for variable, port in wanted.items():
        twin = next((name for name, other in wanted.items() if other == port and name != variable), None)
        if twin is not None:
            raise Stop(f"{variable} and {twin} are both {port}. Give each its own: make run {variable}={port + 10}")
        if not is_free(port):
            raise Stop(
                f"Port {port} is in use{_by_whom(port)}. "
                f"Stop that program, or choose another port: make run {variable}={_suggestion(port, wanted)}"
            )


def _suggestion(port: int, wanted: Mapping[str, int]) -> int:
    candidates = range(port + 10, port + 1000, 10)
    return next((other for other in candidates if other not in wanted.values() and is_free(other)), free_port())


def _by_whom(port: int) -> str:
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:  # macOS shows this to root only
        return ""
    pid = next(
        (c.pid for c in connections if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port), None
    )
    if pid is None:
        return " by a program of another user"
    try:
        command = " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return f" by process {pid}"
    return f" by process {pid} ({command[:80]})"
