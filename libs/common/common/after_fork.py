"""What an object does in a forked child, which has no copy of its parent's threads, and maybe a lock one held."""

import os
import weakref
from collections.abc import Callable


def call_after_fork(method: Callable[[], None]) -> None:
    """Call this method of an object in each forked child for as long as there is the object.

    It is held weakly, because what is registered with the interpreter cannot be taken back.
    """
    reference = weakref.WeakMethod(method)

    def call() -> None:
        found = reference()
        if found is not None:
            found()

    os.register_at_fork(after_in_child=call)
