"""Faults, each again and again at its own random times: what is done when follows from one number."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from types import TracebackType
from typing import Protocol, Self

from devtools.drills.jobs.member import Member
from devtools.drills.jobs.plant import LEASE_SECONDS, Plant

Act = Callable[[random.Random], object]


class Server(Protocol):
    """A database server that can be killed."""

    def kill(self) -> None: ...

    def restart(self) -> None: ...


class Storm:
    """Threads that do harm while the block runs; at its end everything is mended, and what went wrong is raised."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.counts: Counter[str] = Counter()
        self._stop = Event()
        self._faults: list[BaseException] = []
        self._threads: list[Thread] = []

    def add(self, name: str, between: tuple[float, float], act: Act) -> Self:
        """Do `act` at pauses of so many seconds; it has mended what it did when it returns, False: it did nothing."""
        chance = random.Random(f"{self.seed} {name}")  # noqa: S311 - no secret
        self._threads.append(Thread(target=self._run, args=[name, between, act, chance]))
        return self

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if error is None and self._faults:
            raise self._faults[0]

    def __str__(self) -> str:
        return f"seed {self.seed}, " + ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items()))

    def _run(self, name: str, between: tuple[float, float], act: Act, chance: random.Random) -> None:
        while not self._stop.wait(chance.uniform(*between)):
            try:
                done = act(chance)
            except BaseException as fault:  # raised at the end
                self._faults.append(fault)
                return
            self.counts[name] += done is not False


@contextmanager
def one_of(members: Sequence[Member], chance: random.Random) -> Iterator[Member]:
    """One of them that nobody else does something to at the moment."""
    while True:
        for member in chance.sample(members, len(members)):
            if member.lock.acquire(blocking=False):
                try:
                    yield member
                finally:
                    member.lock.release()
                return
        time.sleep(0.05)


def kill_a_busy_worker(plant: Plant) -> Act:
    """End a worker that takes jobs, where another does too, and start it again."""

    def act(chance: random.Random) -> bool:
        ready = [worker for worker in plant.workers if worker.is_ready]
        if len(ready) >= 2:
            kill_one_of(ready)(chance)
        return len(ready) >= 2

    return act


def kill_one_of(members: list[Member]) -> Act:
    """End one of these with all its processes, and start it again."""

    def act(chance: random.Random) -> None:
        with one_of(members, chance) as member:
            member.kill()
            member.start()

    return act


def kill_one_that_works(members: list[Member]) -> Act:
    """The same, once one is ready: a start may take longer than the pause between two kills."""

    def act(chance: random.Random) -> bool:
        ready = [member for member in members if member.is_ready]
        if ready:
            kill_one_of(ready)(chance)
        return bool(ready)

    return act


def kill_a_child(plant: Plant) -> Act:
    """End one process of a worker; the worker itself makes a new one."""

    def act(chance: random.Random) -> None:
        with one_of(plant.workers, chance) as worker:
            worker.kill_child(chance)

    return act


def revive(plant: Plant) -> Act:
    """Start again what died by itself, as the kubelet would."""

    def act(_chance: random.Random) -> None:
        for member in plant.members:
            member.revive()

    return act


def freeze_a_worker(plant: Plant, seconds: float = 2 * LEASE_SECONDS) -> Act:
    """Stop a worker for so long that its jobs go to another, and let it go on."""

    def act(chance: random.Random) -> None:
        with one_of(plant.workers, chance) as worker:
            worker.freeze()
            time.sleep(seconds)
            worker.thaw()

    return act


def roll_a_worker(plant: Plant, stops: list[float], grace_seconds: float) -> Act:
    """Stop a worker as a rollout does and start it again; how long the stops took goes to `stops`."""

    def act(chance: random.Random) -> None:
        with one_of(plant.workers, chance) as worker:
            plant.wait_until(lambda: worker.is_ready, 60, "the worker is ready")
            stops.append(worker.stop(grace_seconds))
            worker.start()

    return act


def empty_the_broker(plant: Plant) -> Act:
    """Let the broker forget everything."""

    def act(_chance: random.Random) -> None:
        try:
            with plant.broker.client() as client:
                client.flushall()
        except OSError:  # it is away, and forgets everything by that
            return

    return act


def kill_the_broker(plant: Plant, seconds: float) -> Act:
    """End the broker, and start it again, empty, after some time."""

    def act(_chance: random.Random) -> None:
        plant.broker.kill()
        time.sleep(seconds)
        plant.broker.start()

    return act


def kill_the_database(server: Server, seconds: float) -> Act:
    """End the database server, and start it again, with its data, after some time."""

    def act(_chance: random.Random) -> None:
        server.kill()
        time.sleep(seconds)
        server.restart()

    return act
