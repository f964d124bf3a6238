"""Whether a server answers: while it does not, one thread at a time finds out, and the others need not wait for it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pymysql.constants import CR
from pymysql.err import MySQLError, OperationalError

# Longer than a probe takes; only a probe that died with its thread, or at a fork, lasts so long.
PROBE_SECONDS = 10.0


class Reachability:
    """What one engine knows of its server.

    A server that hangs would take every thread of a process, a time limit each, and with them the answers that need no
    database: the issuer's keys, and that the process lives. Without a lock: a race lets one thread more find out.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._is_silent = False
        self._probed_until = 0.0

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Around an attempt to connect. Raises OperationalError at once while another thread waits for the server."""
        is_probe = self._is_silent
        if is_probe:
            self._begin_probe()
        try:
            yield
        except MySQLError as error:
            # A server that refuses or is gone answers at once, and nobody has to be spared.
            self._is_silent = isinstance(error.__context__, TimeoutError)
            raise
        else:
            self._is_silent = False
        finally:
            if is_probe:
                self._probed_until = 0.0

    def _begin_probe(self) -> None:
        now = self._monotonic()
        if now < self._probed_until:
            raise OperationalError(
                CR.CR_CONN_HOST_ERROR, "The server did not answer, and another thread waits for it to answer again"
            )
        self._probed_until = now + PROBE_SECONDS
