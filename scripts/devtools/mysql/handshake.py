"""Ask a port what server it is, without a client library: MySQL's server speaks first."""

import socket
import time
from collections.abc import Callable


def server_version(host: str, port: int, timeout_seconds: float = 2.0) -> str | None:
    """Return the version text of the MySQL-like server on that port, None if nothing or something else answers.

    The first packet is 3 bytes length, 1 byte sequence, 1 byte protocol (10), then the version, NUL-terminated
    (MySQL's Protocol::HandshakeV10). MariaDB answers too and has its name in the version.
    """
    try:
        with socket.create_connection((host, port), timeout=timeout_seconds) as connection:
            packet = connection.recv(256)
    except OSError:
        return None
    if len(packet) < 6 or packet[4] != 10:
        return None
    return packet[5:].split(b"\0", 1)[0].decode("ascii", "replace")


def wait_until_answering(port: int, timeout_seconds: float, still_starting: Callable[[], bool]) -> bool:
    """Wait for a server on 127.0.0.1; False when the time is over or `still_starting` says that it gave up."""
    end = time.monotonic() + timeout_seconds
    while time.monotonic() < end:
        if server_version("127.0.0.1", port) is not None:
            return True
        if not still_starting():
            return False
        time.sleep(0.05)
    return False
