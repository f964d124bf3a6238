"""What a worker asks the broker for, by what it holds."""

from types import SimpleNamespace
from typing import Any

import pytest
from jobs.transport import HELD_BACK_SECONDS, HintChannel
from kombu.transport import redis

QUEUES = ["api.default", "api.bulk"]


def channel(held: int) -> HintChannel:
    made = HintChannel.__new__(HintChannel)
    made.bulk_queues, made.bulk_limit = ["api.bulk"], 2
    made._qos = SimpleNamespace(count_held=lambda queues: held)
    return made


@pytest.mark.parametrize(("held", "asked"), [(0, QUEUES), (1, QUEUES), (2, ["api.default"])])
def test_who_holds_as_many_bulk_jobs_as_allowed_asks_for_others_only(held: int, asked: list[str]) -> None:
    assert channel(held).without_too_many_bulk(QUEUES) == asked


@pytest.mark.parametrize(("held", "seconds"), [(1, None), (2, HELD_BACK_SECONDS)])
def test_who_leaves_bulk_jobs_out_looks_again_soon(
    monkeypatch: pytest.MonkeyPatch, held: int, seconds: float | None
) -> None:
    """A request cannot be changed while it waits, so a bulk job that ends meanwhile would leave its place empty."""
    waits: list[Any] = []
    monkeypatch.setattr(redis.Channel, "_brpop_start", lambda self, timeout=None: waits.append(timeout))
    channel(held)._brpop_start()
    assert waits == [seconds]
