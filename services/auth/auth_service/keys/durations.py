"""Durations as people type them on a command line: 90s, 30m, 24h, 7d."""

import re
from datetime import timedelta

import click

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_TEXT = re.compile(r"([0-9]{1,6})([smhd])")


class Duration(click.ParamType[timedelta]):
    """Turns such a text into a timedelta."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        match = _TEXT.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is not a duration: a number and s, m, h or d, as 24h", param, ctx)
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
