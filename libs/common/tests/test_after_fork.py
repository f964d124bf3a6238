"""What a forked child does, for objects that are still there."""

import gc
import os
import weakref
from collections.abc import Callable

from common.after_fork import call_after_fork


class Holder:
    def __init__(self) -> None:
        self.thread = "of the parent"
        call_after_fork(self.forget)

    def forget(self) -> None:
        self.thread = "none"


def status_of_child(check: Callable[[], bool]) -> int:
    child = os.fork()
    if child == 0:
        os._exit(0 if check() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_each_child_forgets_and_the_parent_does_not() -> None:
    holder = Holder()
    assert status_of_child(lambda: holder.thread == "none") == 0
    assert holder.thread == "of the parent"


def test_it_keeps_no_object_alive() -> None:
    holder = Holder()
    reference = weakref.ref(holder)
    del holder
    gc.collect()
    assert reference() is None
    assert status_of_child(lambda: True) == 0
