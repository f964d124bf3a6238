"""Taking the next piece of work in a thread of its own while the last one is still being used."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def one_ahead(take: Callable[[], T]) -> Iterator[Callable[[], T]]:
    """Give a function that returns what `take` does, called in a thread of its own, one call ahead of being asked.

    What it raises is raised where its value would have been returned. The end of the block waits for a running call.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        upcoming = thread.submit(take)

        def next_one() -> T:
            nonlocal upcoming
            taken = upcoming.result()
            upcoming = thread.submit(take)
            return taken

        yield next_one
