"""What a kind declares, and finding it by name and version."""

from typing import Any

import pytest
from jobs.context import JobContext
from jobs.errors import PayloadInvalid, UnknownKind
from jobs.kinds import Kind, job_kind
from jobs.registry import Registry
from jobs.testing import Numbers


def handler(job: JobContext, payload: Numbers) -> None:
    return None


def kind(version: int = 1, **options: Any) -> Kind:
    return job_kind("numbers", version, payload=Numbers, **options)(handler)


def test_versions_of_a_kind_stand_side_by_side() -> None:
    registry = Registry()
    old, new = registry.add(kind(1)), registry.add(kind(2))
    assert (registry.get("numbers", 1), registry.get("numbers", 2)) == (old, new)


def test_a_kind_is_registered_once() -> None:
    registry = Registry()
    registry.add(kind())
    with pytest.raises(ValueError, match="numbers version 1 is registered twice"):
        registry.add(kind())


def test_a_missing_name_is_told_from_a_missing_version() -> None:
    registry = Registry()
    registry.add(kind(2))
    with pytest.raises(UnknownKind, match="no handler for the kind letters"):
        registry.get("letters", 1)
    with pytest.raises(UnknownKind, match=r"runs versions \[2\] of numbers, not version 1"):
        registry.get("numbers", 1)


def test_a_payload_is_read_in_the_shape_of_the_kind() -> None:
    assert kind().declaration.read_payload({"count": 3}) == Numbers(count=3)


def test_a_payload_of_another_shape_names_the_field() -> None:
    with pytest.raises(PayloadInvalid, match="does not fit numbers version 1: count: "):
        kind().declaration.read_payload({"count": "three"})


@pytest.mark.parametrize(
    "options",
    [
        {"soft_limit": 10, "hard_limit": 10},
        {"soft_limit": 0},
        {"max_attempts": 0},
    ],
)
def test_limits_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="numbers: "):
        kind(**options)


@pytest.mark.parametrize("name", ["", "k" * 41])
def test_a_name_that_no_step_of_a_relay_could_hold_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="1 to 40 characters"):
        job_kind(name, 1, payload=Numbers)


def test_the_longest_hard_limit_bounds_all_kinds() -> None:
    registry = Registry()
    assert registry.longest_hard_limit_seconds == 900
    registry.add(kind(soft_limit=3600, hard_limit=3660))
    assert registry.longest_hard_limit_seconds == 3660
