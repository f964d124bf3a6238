"""Figures: how long calls took, and what a service counts about itself."""

import time
from collections.abc import Callable, Sequence
from statistics import median

from prometheus_client.parser import text_string_to_metric_families

from devtools.live import Unexpected
from devtools.tour.http import Request, Response, send

PAUSE_SECONDS = 0.05


def timed(call: Callable[[], Response]) -> tuple[Response, float]:
    """Return the answer and the seconds it took."""
    begun = time.monotonic()
    return call(), time.monotonic() - begun


def spread(seconds: Sequence[float]) -> str:
    """Return the middle and the worst of some durations, to read."""
    return f"p50 {median(seconds) * 1000:.0f} ms, max {max(seconds) * 1000:.0f} ms of {len(seconds)}"


def seconds_until(condition: Callable[[], object], timeout_seconds: float, wanted: str) -> float:
    """Return how long it took until the condition was true; raise Unexpected, naming what was wanted, if too long."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > timeout_seconds:
            raise Unexpected(f"not within {timeout_seconds} s: {wanted}")
        time.sleep(PAUSE_SECONDS)
    return time.monotonic() - begun


def metric(metrics_url: str, sample: str, **labels: str) -> float:
    """Return the sum of a service's samples of that name and with these labels; 0 where there are none."""
    text = send(Request("GET", metrics_url)).content.decode()
    return sum(
        found.value
        for family in text_string_to_metric_families(text)
        for found in family.samples
        if found.name == sample and labels.items() <= found.labels.items()
    )
