"""How the scripts talk to the person at the terminal."""

import sys


class Stop(Exception):
    """The script cannot go on; the message is one line that says what to do."""


def note(message: str) -> None:
    """Print one line of progress to stderr, so that stdout stays free for results."""
    print(message, file=sys.stderr, flush=True)  # noqa: T201 - a script's own output


def result(text: str) -> None:
    """Print what the script was asked for."""
    print(text, flush=True)  # noqa: T201 - a script's own output
