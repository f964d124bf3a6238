"""Jobs at set times: cron entries with a time zone, and what is done about times that were missed.

Entries have five fields, as Debian's cron reads them, and so has the change to and from daylight saving time:
- A time that the change skips (02:30 where 02:00 is followed by 03:00) runs right after the gap, at 03:00.
- A time that comes twice runs once, the first time.
- An entry whose minute or hour starts with `*` runs whenever the clock on the wall fits: never within the gap, and both
  times where an hour is repeated. So `*/10 * * * *` runs each ten minutes whatever the clock does.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import BaseModel

from jobs.kinds import Declaration, Kind

CATCH_UP_CAP = 100
"""So many missed times are made up for at most, the latest of them."""
MISSED_AFTER_SECONDS = 60.0
"""A time counts as missed when nobody looked for that long."""
LONGEST_REPEAT = timedelta(hours=3)
"""No zone sets its clock back by more."""
SYSTEM_OWNER = UUID(int=0)
"""The owner of jobs that belong to no user."""
_NAME = re.compile(r"[a-z][a-z0-9.-]{0,63}")


@dataclass(frozen=True)
class Schedule:
    """A job for each time its cron entry names, in one store.

    `catch_up` says which of the times that passed while no dispatcher ran are made up for: none, the last, or all of
    them. `overlap` says whether a run starts (allow) or is left out (skip) while one of this schedule is unfinished.
    `payload` is made from the time where it depends on it. Raises ValueError for an entry or a zone that is none.
    """

    name: str
    store: str
    cron: str
    kind: Declaration | Kind
    payload: BaseModel | Callable[[datetime], BaseModel]
    time_zone: str = "UTC"
    catch_up: Literal["none", "last", "all"] = "last"
    overlap: Literal["allow", "skip"] = "skip"
    owner_id: UUID = SYSTEM_OWNER

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no name of a schedule: lower case letters, digits, dots and dashes")
        if len(self.cron.split()) != 5:
            raise ValueError(f"{self.name}: a cron entry has five fields, and no seconds")
        try:
            CronSim(self.cron, datetime.now(ZoneInfo(self.time_zone)))
        except (CronSimError, LookupError, OSError, ValueError) as error:
            raise ValueError(f"{self.name}: {self.cron!r} in {self.time_zone!r}: {error}") from None

    def times_between(self, after: datetime, until: datetime) -> list[datetime]:
        """The times of the entry in (after, until], oldest first, in UTC; at most the latest 100 of them."""
        latest = takewhile(lambda time: time > after, self._backwards_from(until))
        return [time for _, time in zip(range(CATCH_UP_CAP), latest, strict=False)][::-1]

    def to_run(self, due: list[datetime], now: datetime) -> list[datetime]:
        """Which of the times that are due get a job, looked at now."""
        if self.catch_up == "all":
            return due
        if self.catch_up == "last":
            return due[-1:]
        return [time for time in due[-1:] if (now - time).total_seconds() <= MISSED_AFTER_SECONDS]

    def payload_at(self, time: datetime) -> BaseModel:
        return self.payload if isinstance(self.payload, BaseModel) else self.payload(time)

    def _backwards_from(self, until: datetime) -> Iterator[datetime]:
        zone = ZoneInfo(self.time_zone)
        # Backwards it starts before what it is given, which has to be among the times.
        start = (until.replace(microsecond=0) + timedelta(seconds=1)).astimezone(zone)
        if start.fold:
            # It goes by the clock on the wall, so within an hour that comes twice it would miss the end of the first.
            start = (start.astimezone(UTC) + LONGEST_REPEAT).astimezone(zone)
        times = (time.astimezone(UTC) for time in CronSim(self.cron, start, reverse=True))
        yield from (time for time in times if time <= until)
