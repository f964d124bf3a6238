"""How many long jobs a worker has: those whose messages it holds, and those whose messages went with a connection."""

from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import state
from jobs.transport import HintQoS


def message(tag: str, queue: str) -> Any:
    return SimpleNamespace(delivery_tag=tag, delivery_info={"routing_key": queue})


def running(tag: str, queue: str) -> Any:
    return SimpleNamespace(message=message(tag, queue), delivery_info={"routing_key": queue})


def holding(*messages: Any, acknowledged: tuple[str, ...] = ()) -> HintQoS:
    qos = HintQoS.__new__(HintQoS)
    qos._delivered = {each.delivery_tag: each for each in messages}
    qos._dirty = set(acknowledged)
    return qos


@pytest.mark.parametrize(
    ("held", "acknowledged", "runs", "count"),
    [
        ([], (), [], 0),
        ([("a", "api.bulk"), ("b", "api.default")], (), [], 1),
        ([("a", "api.bulk"), ("b", "auth.bulk")], (), [], 2),
        ([("a", "api.bulk")], ("a",), [], 0),
        ([("a", "api.bulk")], (), [("a", "api.bulk")], 1),
        # The connection was lost: nothing is held, and they run.
        ([], (), [("a", "api.bulk"), ("b", "api.default")], 1),
        ([("c", "api.bulk")], (), [("a", "api.bulk")], 2),
    ],
)
def test_each_long_job_counts_once_from_its_message_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
    held: list[tuple[str, str]],
    acknowledged: tuple[str, ...],
    runs: list[tuple[str, str]],
    count: int,
) -> None:
    monkeypatch.setattr(state, "active_requests", [running(*each) for each in runs])
    qos = holding(*(message(*each) for each in held), acknowledged=acknowledged)
    assert qos.count_held(["api.bulk", "auth.bulk"]) == count
