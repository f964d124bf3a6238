"""When a schedule is due: cron entries, time zones, daylight saving time, and times that were missed."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs.kinds import job_kind
from jobs.schedules import CATCH_UP_CAP, Schedule
from jobs.testing import Numbers

KIND = job_kind("numbers", 1, payload=Numbers)
BERLIN = "Europe/Berlin"


def schedule(cron: str, **options: Any) -> Schedule:
    return Schedule("digest", "api", cron, KIND, Numbers(), **options)


def utc(day: str, time: str = "00:00") -> datetime:
    return datetime.fromisoformat(f"{day}T{time}+00:00")


def wall(times: list[datetime], zone: str = BERLIN) -> list[str]:
    return [time.astimezone(ZoneInfo(zone)).strftime("%H:%M %Z") for time in times]


def test_it_is_due_after_the_one_and_up_to_the_other_time() -> None:
    hourly = schedule("0 * * * *")
    assert hourly.times_between(utc("2026-03-01", "01:00"), utc("2026-03-01", "03:00")) == [
        utc("2026-03-01", "02:00"),
        utc("2026-03-01", "03:00"),
    ]
    assert hourly.times_between(utc("2026-03-01", "01:00"), utc("2026-03-01", "01:59:59")) == []
    with_micros = utc("2026-03-01", "02:00:00.000001")
    assert hourly.times_between(utc("2026-03-01", "01:00"), with_micros) == [utc("2026-03-01", "02:00")]


def test_times_are_those_of_its_zone() -> None:
    morning = schedule("0 7 * * *", time_zone=BERLIN)
    assert morning.times_between(utc("2026-01-01"), utc("2026-01-02")) == [utc("2026-01-01", "06:00")]
    assert morning.times_between(utc("2026-07-01"), utc("2026-07-02")) == [utc("2026-07-01", "05:00")]


# In Berlin 02:00 is followed by 03:00 on 29 March 2026, and 03:00 by 02:00 on 25 October.
SPRING = (utc("2026-03-28", "23:00"), utc("2026-03-29", "03:00"))
AUTUMN = (utc("2026-10-24", "22:00"), utc("2026-10-25", "03:00"))


@pytest.mark.parametrize(
    ("cron", "night", "times"),
    [
        # A time the change skips runs right after the gap.
        ("30 2 * * *", SPRING, ["03:00 CEST"]),
        ("15 2,3 * * *", SPRING, ["03:00 CEST", "03:15 CEST"]),
        # A time that comes twice runs once.
        ("30 2 * * *", AUTUMN, ["02:30 CEST"]),
        # A wildcard goes by the clock on the wall: not within the gap, in both of the repeated hours.
        ("0 * * * *", SPRING, ["01:00 CET", "03:00 CEST", "04:00 CEST", "05:00 CEST"]),
        ("0 * * * *", AUTUMN, ["01:00 CEST", "02:00 CEST", "02:00 CET", "03:00 CET", "04:00 CET"]),
        ("30 */2 * * *", SPRING, ["00:30 CET", "04:30 CEST"]),
        ("30 */2 * * *", AUTUMN, ["00:30 CEST", "02:30 CEST", "02:30 CET"]),
    ],
)
def test_daylight_saving_time(cron: str, night: tuple[datetime, datetime], times: list[str]) -> None:
    assert wall(schedule(cron, time_zone=BERLIN).times_between(*night)) == times


def test_seen_from_within_the_repeated_hour_the_end_of_the_first_one_has_passed() -> None:
    # Nobody looked from 02:10 CEST until 02:05 CET, when the clock on the wall says that 02:30 is yet to come.
    outage = utc("2026-10-25", "00:10"), utc("2026-10-25", "01:05")
    assert wall(schedule("30 2 * * *", time_zone=BERLIN).times_between(*outage)) == ["02:30 CEST"]
    assert wall(schedule("5 2 * * *", time_zone=BERLIN).times_between(*outage)) == []
    assert wall(schedule("5 * * * *", time_zone=BERLIN).times_between(*outage)) == ["02:05 CET"]


@pytest.mark.parametrize(("start", "end"), [SPRING, AUTUMN])
def test_each_ten_minutes_is_each_ten_minutes_whatever_the_clock_does(start: datetime, end: datetime) -> None:
    times = schedule("*/10 * * * *", time_zone=BERLIN).times_between(start, end)
    assert {later - earlier for earlier, later in pairwise(times)} == {timedelta(minutes=10)}
    assert len(times) == (end - start) / timedelta(minutes=10)


@settings(max_examples=200)
@given(
    st.sampled_from(["30 2 * * *", "*/7 * * * *", "0 3 * * SUN", "15 1-4 * * *", "0 0 29 2 *", "59 23 L * *"]),
    st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "UTC"]),
    st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds it
    st.timedeltas(timedelta(0), timedelta(hours=10)),
)
def test_looked_at_backwards_the_times_are_the_same(cron: str, zone: str, start: datetime, span: timedelta) -> None:
    forwards = []
    for time in CronSim(cron, start.astimezone(ZoneInfo(zone))):
        if time.astimezone(UTC) > start + span:
            break
        forwards.append(time.astimezone(UTC))
    assert schedule(cron, time_zone=zone).times_between(start, start + span) == forwards[-CATCH_UP_CAP:]


def test_of_many_missed_times_the_latest_hundred_are_made_up_for() -> None:
    times = schedule("* * * * *").times_between(utc("2020-01-01"), utc("2026-01-01"))
    assert (len(times), times[-1]) == (100, utc("2026-01-01"))


@pytest.mark.parametrize(
    ("catch_up", "late_seconds", "count"), [("all", 3600, 3), ("last", 3600, 1), ("none", 61, 0), ("none", 59, 1)]
)
def test_what_is_done_about_missed_times(catch_up: Any, late_seconds: int, count: int) -> None:
    due = [utc("2026-01-01", time) for time in ("01:00", "02:00", "03:00")]
    now = due[-1] + timedelta(seconds=late_seconds)
    chosen = schedule("0 * * * *", catch_up=catch_up).to_run(due, now)
    assert chosen == (due[-count:] if count else [])


@pytest.mark.parametrize(
    ("cron", "options", "fault"),
    [
        ("61 * * * *", {}, "Bad minute"),
        ("* * * *", {}, "five fields"),
        ("0 0 * * * *", {}, "five fields"),
        ("0 0 30 2 *", {}, "Bad day-of-month"),
        ("0 0 * * *", {"time_zone": "Mars/Base"}, "Mars/Base"),
        ("0 0 * * *", {"time_zone": "../../etc/passwd"}, "etc/passwd"),
    ],
)
def test_an_entry_that_is_none_is_refused_where_it_stands(cron: str, options: Any, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        schedule(cron, **options)


@pytest.mark.parametrize("name", ["", "Digest", "a:b", "a" * 65])
def test_a_name_fits_its_column_and_its_key(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        Schedule(name, "api", "0 0 * * *", KIND, Numbers())
