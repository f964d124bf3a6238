"""Delays between attempts, and what an error means for its job."""

import pymysql
import pytest
from common.errors import DomainError
from common.ids import new_id
from jobs import endings
from jobs.backoff import LONGEST_SECONDS, backoff_seconds
from jobs.endings import Budget
from jobs.errors import DeadlineExceeded, JobCancelled, LeaseLost, RetryJobLater, TimeLimitExceeded, WorkerStopping
from jobs.files import FileDamaged, PieceMissing
from jobs.states import Outcome
from sqlalchemy.exc import OperationalError


def test_the_first_retry_comes_within_a_second() -> None:
    assert all(0 <= backoff_seconds(1) <= 1 for _ in range(200))


@pytest.mark.parametrize("attempt", [2, 5, 9, 30, 10_000])
def test_later_retries_are_spread_over_a_window_that_doubles_up_to_15_minutes(attempt: int) -> None:
    window = min(LONGEST_SECONDS, 2 * 2**attempt)
    delays = [backoff_seconds(attempt) for _ in range(300)]
    assert max(delays) <= window
    assert max(delays) > window * 0.8
    assert min(delays) < window * 0.2


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (JobCancelled(), Outcome.CANCELLED),
        (WorkerStopping(), Outcome.RELEASED),
        (LeaseLost(), Outcome.RETRIED),
        (DeadlineExceeded(), Outcome.FAILED),
        (TimeLimitExceeded(), Outcome.RETRIED),
        (DomainError("no"), Outcome.FAILED),
        (RetryJobLater("soon", 5), Outcome.RETRIED),
        (ValueError(), Outcome.RETRIED),
        (FileDamaged(new_id(), 0), Outcome.FAILED),
        (PieceMissing(new_id(), 0), Outcome.RETRIED),
        (MemoryError(), Outcome.RETRIED),
    ],
)
def test_each_error_has_its_ending(error: BaseException, outcome: Outcome) -> None:
    assert endings.of_error(error, Budget(attempt=1, max_attempts=8)).outcome is outcome


@pytest.mark.parametrize("error", [TimeLimitExceeded(), LeaseLost(), RetryJobLater("soon", 5), ValueError()])
def test_what_would_be_tried_again_is_dead_after_the_last_attempt(error: BaseException) -> None:
    assert endings.of_error(error, Budget(attempt=8, max_attempts=8)).outcome is Outcome.DEAD


@pytest.mark.parametrize("error", [LeaseLost(), OperationalError("BEGIN", {}, pymysql.err.OperationalError(1290, ""))])
def test_what_the_database_kept_from_going_on_costs_no_attempt_after_progress(error: BaseException) -> None:
    ending = endings.of_error(error, Budget(attempt=8, max_attempts=8, has_advanced=True))
    assert ending.outcome is Outcome.RETRIED


def test_a_domain_error_brings_its_own_code_and_words() -> None:
    class EmptyFile(DomainError):
        code = "empty-file"

    ending = endings.of_error(EmptyFile("The file is empty."), Budget(attempt=1, max_attempts=8))
    assert ending.error == {"code": "empty-file", "message": "The file is empty."}
