"""The limit on password hashes computed at once."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from auth_service.errors import HashingBusy
from auth_service.hashing import BoundedHasher, share_threads


@pytest.fixture
def hasher() -> BoundedHasher:
    return BoundedHasher(memory_kib=64, iterations=1, slots=1, max_waiting=1)


@pytest.fixture
def hold(hasher: BoundedHasher, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Each hash takes until the event is set."""
    release = threading.Event()

    def wait(_: str) -> str:
        release.wait(10)
        return "hash"

    monkeypatch.setattr(hasher, "_argon2", type("Slow", (), {"hash": staticmethod(wait)})())
    yield release
    release.set()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert condition()


def test_a_password_verifies_against_its_own_hash_only(hasher: BoundedHasher) -> None:
    password_hash = hasher.hash("correct")
    assert hasher.verify(password_hash, "correct")
    assert not hasher.verify(password_hash, "wrong")
    assert not hasher.verify(hasher.hash("other"), "correct")


def test_an_unknown_account_never_verifies_not_even_with_the_dummys_password(hasher: BoundedHasher) -> None:
    hasher._dummy_hash = hasher.hash("known")
    assert not hasher.verify(None, "known")


def test_the_dummy_hash_has_the_parameters_of_now() -> None:
    hasher = BoundedHasher(memory_kib=128, iterations=3, slots=1, max_waiting=1)
    assert hasher._dummy_hash.startswith("$argon2id$v=19$m=128,t=3,p=1$")
    assert not hasher.is_outdated(hasher._dummy_hash)
    assert BoundedHasher(memory_kib=256, iterations=3, slots=1, max_waiting=1).is_outdated(hasher._dummy_hash)


def test_who_waits_gets_the_slot_when_it_is_free(hasher: BoundedHasher, hold: threading.Event) -> None:
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(hasher.hash, "a")
        second = pool.submit(hasher.hash, "b")
        until(lambda: hasher._waiting == 1)
        hold.set()
        assert (first.result(5), second.result(5)) == ("hash", "hash")
    assert hasher._waiting == 0


def test_one_more_than_may_wait_is_turned_away_at_once(hasher: BoundedHasher, hold: threading.Event) -> None:
    with ThreadPoolExecutor(2) as pool:
        pool.submit(hasher.hash, "a")
        pool.submit(hasher.hash, "b")
        until(lambda: hasher._waiting == 1)
        begun = time.perf_counter()
        with pytest.raises(HashingBusy):
            hasher.hash("c")
        assert time.perf_counter() - begun < 0.9
        hold.set()


def test_who_waits_too_long_is_turned_away(
    hasher: BoundedHasher, hold: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auth_service.hashing.QUEUE_SECONDS", 0.05)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(hasher.hash, "a")
        until(lambda: not hasher._slots.acquire(blocking=False) or bool(hasher._slots.release()))
        with pytest.raises(HashingBusy) as caught:
            hasher.hash("b")
        hold.set()
    assert caught.value.retry_after_seconds == 1
    assert hasher.hash("c") == "hash"


@pytest.mark.parametrize(
    ("threads", "wanted_slots", "slots", "max_waiting"),
    [(1, 1, 1, 0), (1, 8, 1, 0), (2, 2, 1, 0), (3, 2, 2, 0), (4, 1, 1, 2), (4, 2, 2, 1), (4, 16, 3, 0), (16, 4, 4, 11)],
)
def test_hashing_and_waiting_leave_a_thread_free_where_there_are_two(
    threads: int, wanted_slots: int, slots: int, max_waiting: int
) -> None:
    assert share_threads(threads, wanted_slots) == (slots, max_waiting)
    assert slots + max_waiting <= max(1, threads - 1)


def test_where_nobody_may_wait_the_next_one_is_turned_away_at_once(
    hasher: BoundedHasher, hold: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hasher, "_max_waiting", 0)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(hasher.hash, "a")
        until(lambda: not hasher._slots.acquire(blocking=False) or bool(hasher._slots.release()))
        with pytest.raises(HashingBusy):
            hasher.hash("b")
        hold.set()
        assert first.result(5) == "hash"
