"""Password hashes (argon2id, RFC 9106), with a limit on how many are computed at once."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from auth_service.errors import HashingBusy

QUEUE_SECONDS = 1.0


def share_threads(threads: int, wanted_slots: int) -> tuple[int, int]:
    """Return how many of a process's threads may hash at once and how many more may wait for it.

    Together they leave one thread to other routes, whatever comes in; a single thread has to do both.
    """
    slots = max(1, min(wanted_slots, threads - 1))
    return slots, max(0, threads - 1 - slots)


class BoundedHasher:
    """Hashes and verifies with `slots` at once; `max_waiting` more wait up to QUEUE_SECONDS, others are turned away.

    Each slot costs `memory_kib` while it works, so the slots bound the memory, and the bound on waiting
    keeps a flood of logins from taking every thread of the process (`share_threads`).
    """

    def __init__(self, *, memory_kib: int, iterations: int, slots: int, max_waiting: int) -> None:
        self._argon2 = argon2.PasswordHasher(time_cost=iterations, memory_cost=memory_kib, parallelism=1)
        self._slots = BoundedSemaphore(slots)
        self._max_waiting = max_waiting
        self._waiting = 0
        self._lock = Lock()
        # Made with the parameters of now: a literal would take another time than real hashes some day.
        self._dummy_hash = self._argon2.hash(secrets.token_urlsafe())

    def hash(self, password: str) -> str:
        """Return the hash with its parameters and salt (PHC string format). Raises HashingBusy."""
        with self._slot():
            return self._argon2.hash(password)

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password has this hash. None, for an unknown account, takes as long and is False.

        Raises HashingBusy.
        """
        with self._slot():
            is_right = self._verify(password_hash or self._dummy_hash, password)
        return is_right and password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than those of now."""
        return self._argon2.check_needs_rehash(password_hash)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._argon2.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(blocking=False):
            self._wait_for_slot()
        try:
            yield
        finally:
            self._slots.release()

    def _wait_for_slot(self) -> None:
        with self._lock:
            if self._waiting >= self._max_waiting:
                raise HashingBusy
            self._waiting += 1
        try:
            if not self._slots.acquire(timeout=QUEUE_SECONDS):
                raise HashingBusy
        finally:
            with self._lock:
                self._waiting -= 1
