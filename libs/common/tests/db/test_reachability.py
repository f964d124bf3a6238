"""Who waits for a server that does not answer: one thread, until it answers or refuses."""

from collections.abc import Callable

import pytest
from common.db.reachability import PROBE_SECONDS, Reachability
from pymysql.err import OperationalError


def wait_in_vain() -> None:
    """Ends as PyMySQL does: with an error of its own, raised while a TimeoutError is handled."""
    try:
        raise TimeoutError
    except TimeoutError:
        raise OperationalError(2013, "lost")  # noqa: B904 - as the driver does it


def time_out(reachability: Reachability) -> None:
    with pytest.raises(OperationalError, match="lost"), reachability.attempt():
        wait_in_vain()


def refuse(reachability: Reachability) -> None:
    with pytest.raises(OperationalError, match="refused"), reachability.attempt():
        raise OperationalError(2003, "refused")


def connect(reachability: Reachability) -> None:
    with reachability.attempt():
        pass


def is_let_through(reachability: Reachability) -> bool:
    """Whether a second thread may try while this one does."""
    with reachability.attempt():
        try:
            connect(reachability)
        except OperationalError:
            return False
    return True


def test_a_server_that_is_there_is_connected_to_by_many_at_once() -> None:
    assert is_let_through(Reachability())


def test_after_a_time_out_one_at_a_time_tries() -> None:
    reachability = Reachability()
    time_out(reachability)
    assert not is_let_through(reachability)


@pytest.mark.parametrize("end", [connect, refuse])
def test_an_answer_ends_that(end: Callable[[Reachability], None]) -> None:
    reachability = Reachability()
    time_out(reachability)
    end(reachability)
    assert is_let_through(reachability)


def test_each_probe_that_times_out_leaves_the_next_to_another() -> None:
    reachability = Reachability()
    for _ in range(3):
        time_out(reachability)
    assert not is_let_through(reachability)


def test_a_probe_that_never_ended_is_forgotten() -> None:
    now = 100.0
    reachability = Reachability(lambda: now)
    time_out(reachability)
    probe = reachability.attempt()
    probe.__enter__()
    with pytest.raises(OperationalError, match="another thread"):
        connect(reachability)
    now += PROBE_SECONDS
    connect(reachability)
    probe.__exit__(None, None, None)
