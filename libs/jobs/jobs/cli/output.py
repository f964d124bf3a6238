"""Tables and JSON on standard output: with lines and colours on a terminal, plain text for everything else."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

_COLOURS = {"dead": "bold red", "failed": "red", "running": "cyan", "succeeded": "green", "cancelled": "dim"}

Rows = Sequence[Sequence[str]]


def on_terminal() -> bool:
    """Whether somebody looks at it."""
    return sys.stdout.isatty()


def print_table(columns: Sequence[str], rows: Rows) -> None:
    """The names of the columns and the rows, aligned."""
    if on_terminal():
        from rich.console import Console  # noqa: PLC0415 - 60 ms, and programs read the plain text

        Console().print(rich_table(columns, rows))
        return
    for line in plain_lines([columns, *rows]):
        click.echo(line)


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """A name and a text a line."""
    for line in plain_lines(list(facts)):
        click.echo(line)


def print_json(value: Any) -> None:
    """On as many lines as are easy to read."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def plain_lines(rows: Rows) -> Iterator[str]:
    """The rows as lines of aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def rich_table(columns: Sequence[str], rows: Rows, title: str | None = None) -> "Table":
    """The same for a terminal, states in colours."""
    from rich import box  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415 - text as it is: what users wrote is no markup

    table = Table(*columns, title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in table.columns:
        column.overflow = "fold"  # on a narrow terminal a job takes more lines, and nothing is cut off
    table.columns[0].no_wrap = True  # an id is there to be copied
    for row in rows:
        table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
    return table
