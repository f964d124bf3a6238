"""Rows that became no contact, and the CSV file they go back to their sender in."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from contacts.imports.mapping import Plan
from contacts.imports.records import Record

ERROR_COLUMNS = ("line", "column", "reason")


@dataclass(frozen=True, slots=True)
class Rejection:
    """One record that cannot become a contact: where it starts, which column is to blame and why."""

    line: int
    column: str
    reason: str
    cells: list[str]


def reject(record: Record, plan: Plan, column: str, reason: str) -> Rejection:
    """The rejection of a record, with its cells as they were."""
    return Rejection(record.line, column, reason, plan.cells_of(record))


def rejections_as_csv(rejections: Sequence[Rejection], plan: Plan, *, with_header: bool) -> bytes:
    """The rejected rows under the file's own columns, with line, column and reason appended, ready to be mended.

    Columns of these names that fill no field are left out: they are the notes of an earlier import of such a file.
    """
    kept = [index for index, column in enumerate(plan.columns) if column in plan.targets or column not in ERROR_COLUMNS]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    if with_header:
        columns = [plan.columns[index] for index in kept]
        writer.writerow(columns + [name if name not in columns else f"error_{name}" for name in ERROR_COLUMNS])
    for rejection in rejections:
        cells = [rejection.cells[index] for index in kept]
        writer.writerow([*cells, rejection.line, rejection.column, rejection.reason])
    return text.getvalue().encode()
