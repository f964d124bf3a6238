"""States of keys: a function of the plan and the clock, to the second."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from auth_service.keys.schedule import RETIRING_PERIOD, State, active_at, in_order, retires_at, state_at
from hypothesis import given
from hypothesis import strategies as st

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Planned:
    name: str
    sign_from: datetime | None


def states(*keys: Planned, now: datetime) -> dict[str, str]:
    ordered = in_order(keys)
    return {key.name: state_at(ordered, position, now) for position, key in enumerate(ordered)}


OLD, NEW, RESERVE = Planned("old", T0), Planned("new", T0 + DAY), Planned("reserve", None)


def test_the_retiring_period_outlives_the_last_token() -> None:
    assert timedelta(seconds=3600 + 30 + 300) == RETIRING_PERIOD


def test_a_key_goes_through_all_states_at_the_exact_second() -> None:
    def at(now: datetime) -> tuple[str, ...]:
        return tuple(states(RESERVE, NEW, OLD, now=now).values())

    switch, end = T0 + DAY, T0 + DAY + RETIRING_PERIOD
    assert at(T0) == ("active", "pending", "pending")
    assert at(switch - SECOND) == ("active", "pending", "pending")
    assert at(switch) == ("retiring", "active", "pending")
    assert at(end - SECOND) == ("retiring", "active", "pending")
    assert at(end) == ("retired", "active", "pending")


def test_before_every_date_the_earliest_key_signs_and_a_reserve_only_if_there_is_nothing_else() -> None:
    assert states(NEW, OLD, RESERVE, now=T0 - DAY) == {"old": "active", "new": "pending", "reserve": "pending"}
    assert states(RESERVE, Planned("other", None), now=T0) == {"reserve": "active", "other": "pending"}


def test_of_two_keys_with_one_date_the_one_listed_later_signs() -> None:
    assert states(OLD, Planned("twin", T0), now=T0) == {"old": "retiring", "twin": "active"}
    assert states(OLD, Planned("twin", T0), now=T0 - SECOND) == {"old": "active", "twin": "pending"}


def test_a_key_that_never_signed_retires_with_the_one_before_it() -> None:
    """Listed between two others with their date, it was replaced in the moment it was to begin."""
    found = states(OLD, Planned("skipped", T0 + DAY), NEW, now=T0 + DAY)
    assert found == {"old": "retiring", "skipped": "retiring", "new": "active"}


def test_a_key_without_a_dated_successor_does_not_retire() -> None:
    ordered = in_order([RESERVE, OLD, NEW])
    assert [retires_at(ordered, position) for position in range(3)] == [T0 + DAY + RETIRING_PERIOD, None, None]


moments = st.integers(0, 20).map(lambda hours: T0 + timedelta(hours=hours))
plans = st.lists(st.one_of(st.none(), moments), min_size=1, max_size=6).map(
    lambda dates: [Planned(str(number), date) for number, date in enumerate(dates)]
)


@given(plans, st.integers(-5, 30).map(lambda hours: T0 + timedelta(hours=hours)))
def test_at_every_moment_one_key_signs_and_its_tokens_outlive_no_key(plan: list[Planned], now: datetime) -> None:
    ordered = in_order(plan)
    found = [state_at(ordered, position, now) for position in range(len(ordered))]
    assert found.count(State.ACTIVE) == 1
    signer = ordered.index(active_at(ordered, now))
    # Whoever signs now is still published at the last moment of its last token: an hour and the leeway.
    later = now + timedelta(seconds=3600 + 30)
    assert state_at(ordered, signer, later) is not State.RETIRED
    assert found == sorted(found, key=[State.RETIRED, State.RETIRING, State.ACTIVE, State.PENDING].index)
