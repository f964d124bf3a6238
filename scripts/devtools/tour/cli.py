"""scripts/tour: the first tour against given addresses, with a file of one's own if wanted."""

import argparse
from pathlib import Path

from rich.console import Console

from devtools import say
from devtools.tour.display import TerminalDisplay
from devtools.tour.steps import SAMPLE, TourFailed, take_tour


def main(arguments: list[str] | None = None) -> int:
    """Take the tour; 1 with the reason on standard error at the first surprise."""
    chosen = _parser().parse_args(arguments)
    display = TerminalDisplay(Console())
    try:
        with display.bar:
            take_tour(display, chosen.auth_url, chosen.api_url, 120, file=chosen.file, mapping=chosen.mapping)
    except (TourFailed, OSError) as problem:
        say.note(f"tour: {problem}")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/tour", description="Register, log in, import a file, list.")
    parser.add_argument("auth_url", help="for instance http://127.0.0.1:8001")
    parser.add_argument("api_url", help="for instance http://127.0.0.1:8002")
    parser.add_argument("file", nargs="?", type=Path, default=SAMPLE, help="the file to import (default: the sample)")
    parser.add_argument("mapping", nargs="?", help="a JSON object from column to field")
    return parser
