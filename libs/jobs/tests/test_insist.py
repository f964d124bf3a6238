"""Asking a database again that was away."""

import time

import pytest
from jobs.insist import insist
from sqlalchemy.exc import OperationalError, ProgrammingError


class Work:
    """Fails a number of times before it answers."""

    def __init__(self, failures: int, error: type[OperationalError | ProgrammingError] = OperationalError) -> None:
        self.calls = 0
        self._failures = failures
        self._error = error

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error("UPDATE jobs", {"secret": "x"}, Exception("server has gone away"))
        return "done"


def test_work_is_repeated_until_the_database_is_back() -> None:
    work = Work(failures=2)
    assert insist(work, seconds=30) == "done"
    assert work.calls == 3


def test_the_last_error_is_raised_when_the_time_is_up() -> None:
    started = time.monotonic()
    with pytest.raises(OperationalError, match="gone away"):
        insist(Work(failures=100), seconds=1)
    assert time.monotonic() - started < 5


def test_no_time_means_one_try() -> None:
    work = Work(failures=1)
    with pytest.raises(OperationalError):
        insist(work, seconds=0)
    assert work.calls == 1


def test_a_fault_of_ours_is_not_repeated() -> None:
    work = Work(failures=1, error=ProgrammingError)
    with pytest.raises(ProgrammingError):
        insist(work, seconds=30)
    assert work.calls == 1
