"""Streams and downloads share the threads of a process, and leave one to everybody else."""

import threading
from collections.abc import Callable

import pytest
from api_service.errors import TooManyDownloads, TooManyStreams
from api_service.long_answers import LongAnswers

REFUSALS = (TooManyStreams, TooManyDownloads)


def taken(take: Callable[[], Callable[[], None]]) -> list[Callable[[], None]]:
    """As many as there are."""
    given: list[Callable[[], None]] = []
    while True:
        try:
            given.append(take())
        except REFUSALS:
            return given


@pytest.mark.parametrize(("threads", "streams", "downloads"), [(1, 0, 1), (2, 1, 1), (4, 2, 3), (8, 4, 7)])
def test_one_thread_is_left_and_streams_take_half(threads: int, streams: int, downloads: int) -> None:
    assert len(taken(LongAnswers(threads).take_stream)) == streams
    assert len(taken(LongAnswers(threads).take_download)) == downloads


def test_streams_and_downloads_count_together() -> None:
    answers = LongAnswers(4)
    assert [len(taken(answers.take_stream)), len(taken(answers.take_download))] == [2, 1]
    answers = LongAnswers(4)
    downloads = taken(answers.take_download)
    assert taken(answers.take_stream) == []
    downloads[0]()
    assert len(taken(answers.take_stream)) == 1


def test_a_place_is_given_back_once() -> None:
    answers = LongAnswers(4)
    first, *_ = taken(answers.take_download)
    first()
    first()
    assert len(taken(answers.take_download)) == 1


def test_no_place_is_lost_or_made_by_many_at_once() -> None:
    answers = LongAnswers(4)

    def come_and_go() -> None:
        for _ in range(500):
            for give_back in taken(answers.take_download):
                give_back()

    threads = [threading.Thread(target=come_and_go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken(answers.take_download)) == 3
