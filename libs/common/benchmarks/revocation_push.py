"""Measure how soon a revoked session is known in other processes, what the look-up costs, and what a start costs.

    python libs/common/benchmarks/revocation_push.py --rounds 200 --replay 10000

Starts a Valkey of its own. Push: from calling `publish` in this process to the moment another one, which waits at the
stream's end, knows the session, by the clock both share. Replay: from `start` to a table that is fresh, with that many
entries in the stream.
"""

import argparse
import multiprocessing
import socket
import statistics
import tempfile
import time
import timeit
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from uuid import UUID

from common.ids import new_id
from common.revocation import RevocationPublisher, RevokedSessions
from common.testing.valkey import ValkeyServer

SPIN_SECONDS = 0.00005


def main() -> None:
    arguments = _parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        server = ValkeyServer(_free_port(), Path(folder))
        server.start()
        try:
            publisher = RevocationPublisher(server.url)
            publisher.vouch()
            _report_push(server.url, publisher, arguments.rounds)
            _report_replay(server.url, publisher, arguments.replay)
        finally:
            server.kill()


def _report_push(url: str, publisher: RevocationPublisher, rounds: int) -> None:
    ours, theirs = multiprocessing.Pipe()
    listener = multiprocessing.get_context("spawn").Process(target=_listen, args=(url, theirs), daemon=True)
    listener.start()
    ours.recv()
    milliseconds = sorted(_push_once(publisher, ours) * 1000 for _ in range(rounds))
    ours.send(None)
    listener.join()
    p99 = milliseconds[int(len(milliseconds) * 0.99)]
    times = f"p50 {statistics.median(milliseconds):.2f} ms, p99 {p99:.2f} ms, max {milliseconds[-1]:.2f} ms"
    _say(f"push to another process, {rounds} rounds: {times}")


def _push_once(publisher: RevocationPublisher, listener: Connection) -> float:
    sid = new_id()
    listener.send(sid)
    listener.recv()  # it looks out for this one now
    published_at = time.monotonic()
    publisher.publish([sid])
    known_at: float = listener.recv()
    return known_at - published_at


def _listen(url: str, ours: Connection) -> None:
    """In a process of its own: say for each session when it was known, by the clock all processes share."""
    sessions = RevokedSessions(url)
    sessions.start()
    while not sessions.is_fresh():
        time.sleep(SPIN_SECONDS)
    ours.send("ready")
    while (sid := ours.recv()) is not None:
        ours.send("watching")
        ours.send(_await(sessions, sid))
    sessions.stop()


def _await(sessions: RevokedSessions, sid: UUID) -> float:
    while not sessions.is_revoked(sid):
        time.sleep(SPIN_SECONDS)
    return time.monotonic()


def _report_replay(url: str, publisher: RevocationPublisher, count: int) -> None:
    publisher.publish(sids := [new_id() for _ in range(count)])
    sessions = RevokedSessions(url)
    started_at = time.monotonic()
    sessions.start()
    while not sessions.is_fresh():
        time.sleep(SPIN_SECONDS)
    _say(f"replay of {count} entries at start: {(time.monotonic() - started_at) * 1000:.0f} ms")
    for name, sid in (("revoked", sids[-1]), ("not revoked", new_id())):
        seconds = min(timeit.repeat(partial(sessions.is_revoked, sid), number=100_000, repeat=5)) / 100_000
        _say(f"look-up of a session, {name}, among {count}: {seconds * 1e6:.2f} us")
    sessions.stop()


def _say(text: str) -> None:
    print(text)  # noqa: T201 # its output


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--replay", type=int, default=10_000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
