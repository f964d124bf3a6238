"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta


class SettableClock:
    """Called like `common.clock.utc_now`; starts at a fixed moment."""

    def __init__(self, now: datetime = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass; negative ones go back."""
        self.now += timedelta(seconds=seconds)
