"""Work done one call ahead of being asked for."""

import threading

import pytest
from contacts.imports.ahead import one_ahead


def test_everything_comes_in_order_and_the_next_is_taken_meanwhile() -> None:
    items, taken = iter(range(5)), [threading.Event() for _ in range(5)]

    def take() -> int:
        item = next(items)
        taken[item].set()
        return item

    with one_ahead(take) as next_one:
        for expected in range(4):
            assert next_one() == expected
            assert taken[expected + 1].wait(10)


def test_a_fault_is_raised_where_its_value_would_have_come() -> None:
    items = iter([1, 2])

    def take() -> int:
        try:
            return next(items)
        except StopIteration:
            raise ValueError("damaged") from None

    with one_ahead(take) as next_one:
        assert [next_one(), next_one()] == [1, 2]
        with pytest.raises(ValueError, match="damaged"):
            next_one()


def test_the_end_waits_for_what_is_being_taken() -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), list[bool]()

    def take() -> None:
        begun.set()
        may_end.wait(10)
        ended.append(True)

    with one_ahead(take):
        assert begun.wait(10)
        threading.Timer(0.05, may_end.set).start()
    assert ended == [True]
