"""The one thread for all jobs of a process: it is there when something is due, whatever came before."""

import math
import os
import threading
import time

import pytest
from common.testing.waiting import eventually
from jobs import watch
from jobs.watch import Watch, current_watch

PATIENCE_SECONDS = 0.05


class Alarm:
    """Due once, `seconds` from now; `does` what it was given then."""

    def __init__(self, seconds: float, does: threading.Event | None = None) -> None:
        self.due_at = time.monotonic() + seconds
        self.rang = threading.Event()
        self._waits_for = does

    def look_after(self) -> None:
        self.due_at = math.inf
        self.rang.set()
        if self._waits_for is not None:
            self._waits_for.wait(30)


def keepers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "lease-keeper"]


@pytest.fixture(autouse=True)
def _own_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_watch", Watch())


def test_one_thread_looks_after_all_that_come_and_go() -> None:
    before = len(keepers())
    for _ in range(20):
        alarm = Alarm(600)
        current_watch().add(alarm)
        current_watch().remove(alarm, PATIENCE_SECONDS)
    assert len(keepers()) == before + 1
    for seconds in (0.02, 0):
        alarm = Alarm(seconds)
        current_watch().add(alarm)
        assert alarm.rang.wait(10)
        current_watch().remove(alarm, PATIENCE_SECONDS)
    assert len(keepers()) == before + 1


def test_one_that_is_due_before_the_others_is_not_late_for_them() -> None:
    later, sooner = Alarm(600), Alarm(0.1)
    current_watch().add(later)
    time.sleep(0.05)  # the thread sleeps by now
    current_watch().add(sooner)
    assert sooner.rang.wait(10)
    assert not later.rang.is_set()


def test_one_that_was_taken_away_is_left_alone() -> None:
    gone, other = Alarm(0.1), Alarm(0.2)
    current_watch().add(gone)
    current_watch().remove(gone, PATIENCE_SECONDS)
    current_watch().add(other)
    assert other.rang.wait(10)
    assert not gone.rang.is_set()


def test_taking_away_waits_for_what_is_being_done() -> None:
    goes_on = threading.Event()
    alarm = Alarm(0, goes_on)
    current_watch().add(alarm)
    assert alarm.rang.wait(10)
    threading.Timer(0.1, goes_on.set).start()
    current_watch().remove(alarm, 30)
    assert goes_on.is_set()


def test_one_that_hangs_holds_up_none_after_it_and_none_beside_it() -> None:
    before, goes_on = len(keepers()), threading.Event()
    hanging, beside, after = Alarm(0, goes_on), Alarm(0.1), Alarm(0.1)
    current_watch().add(hanging)
    assert hanging.rang.wait(10)
    current_watch().add(beside)
    current_watch().remove(hanging, PATIENCE_SECONDS)
    assert beside.rang.wait(10)
    current_watch().add(after)
    assert after.rang.wait(10)
    goes_on.set()
    eventually(lambda: len(keepers()) == before + 1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_costs_the_thread_but_not_the_next_job() -> None:
    class Faulty(Alarm):
        def look_after(self) -> None:
            raise RuntimeError

    faulty, after = Faulty(0), Alarm(0)
    current_watch().add(faulty)
    thread = current_watch()._thread
    assert thread is not None
    thread.join(10)
    current_watch().remove(faulty, PATIENCE_SECONDS)
    current_watch().add(after)
    assert after.rang.wait(10)


def test_what_could_not_be_added_is_not_looked_after_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its job has nobody who runs it, so nobody may renew its lease."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    refused, after = Alarm(0), Alarm(0.1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            current_watch().add(refused)
    current_watch().add(after)
    assert after.rang.wait(10)
    assert not refused.rang.is_set()


def test_a_forked_process_gets_a_thread_of_its_own() -> None:
    current_watch().add(Alarm(600))
    with current_watch()._changed:  # whoever holds it in the parent does not in the child
        child = os.fork()
        if child == 0:
            alarm = Alarm(0)
            current_watch().add(alarm)
            os._exit(0 if alarm.rang.wait(10) else 1)
    assert os.waitpid(child, 0)[1] == 0
