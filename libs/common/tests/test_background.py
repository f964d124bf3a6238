import os
import threading
import time

import pytest
from common.background import BackgroundLoop
from common.testing.waiting import eventually


def test_it_calls_again_after_the_pause_it_is_told() -> None:
    calls: list[float] = []

    def step() -> float:
        calls.append(time.monotonic())
        return 0.01 if len(calls) < 3 else 600

    loop = BackgroundLoop("test", step)
    assert calls == []
    loop.start()
    eventually(lambda: len(calls) == 3)
    loop.stop()
    assert len(calls) == 3


def test_a_pause_is_cut_short_for_what_cannot_wait() -> None:
    calls: list[int] = []
    loop = BackgroundLoop("test", lambda: calls.append(1) or 600)
    loop.start()
    eventually(lambda: len(calls) == 1)
    loop.hurry()
    eventually(lambda: len(calls) == 2)
    loop.stop()
    assert len(calls) == 2


def test_starting_twice_makes_one_thread() -> None:
    names: set[int] = set()
    loop = BackgroundLoop("test", lambda: names.add(threading.get_ident()) or 0.001)
    loop.start()
    loop.start()
    eventually(lambda: names)
    time.sleep(0.05)
    loop.stop()
    assert len(names) == 1


def test_a_failing_step_is_logged_and_tried_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.background.CRASH_PAUSE_SECONDS", 0.01)
    calls: list[int] = []

    def step() -> float:
        calls.append(1)
        if len(calls) < 3:
            raise RuntimeError("unforeseen")
        return 600

    loop = BackgroundLoop("test", step)
    loop.start()
    eventually(lambda: len(calls) == 3)
    loop.stop()
    assert capsys.readouterr().out.count("background_step_failed  ") == 2


def test_stopping_wakes_a_step_that_waits_for_something_else() -> None:
    woken = threading.Event()
    loop = BackgroundLoop("test", lambda: float(woken.wait(60)), wake=woken.set)
    loop.start()
    thread = loop._thread
    assert thread is not None
    loop.stop()
    thread.join(20)
    assert not thread.is_alive()


def test_a_forked_child_begins_without_a_thread_and_may_start_its_own() -> None:
    calls: list[int] = []
    loop = BackgroundLoop("test", lambda: calls.append(os.getpid()) or 600)
    loop.start()
    eventually(lambda: calls == [os.getpid()])
    pid = os.fork()
    if pid == 0:
        try:
            assert loop._thread is None
            loop.start()
            eventually(lambda: calls[-1] == os.getpid())
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    loop.stop()
