"""Contacts as text: the columns and keys are the fields, so that an import takes them back without a mapping.

Nothing is added to a value. A cell that starts with `=`, `+`, `-` or `@` is a formula to spreadsheets, and a quote
before it would defuse it there, but every telephone number in international form starts so and would come back
changed. What is in such a cell its owner has typed or imported; who opens the file in a spreadsheet is told by the
README to import it there as text.
"""

import csv
import io
from collections.abc import Iterable
from typing import Any

import orjson
from sqlalchemy import Row

from contacts.exports.contract import ExportFormat
from contacts.fields import FIELD_NAMES

_TAGS = FIELD_NAMES.index("tags")


def write_head(file_format: ExportFormat) -> bytes:
    """What stands before the first contact: the header row of CSV, without a byte order mark."""
    return f"{','.join(FIELD_NAMES)}\r\n".encode() if file_format is ExportFormat.CSV else b""


def write_rows(file_format: ExportFormat, rows: Iterable[Row[Any]]) -> bytes:
    """The contacts as records; each row is an id and the fields in the order of FIELD_NAMES."""
    return _write_csv(rows) if file_format is ExportFormat.CSV else _write_ndjson(rows)


def _write_csv(rows: Iterable[Row[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(map(_cells, rows))
    return text.getvalue().encode()


def _cells(row: Row[Any]) -> list[Any]:
    """An absent value is an empty cell, as are no tags; no field of a contact is ever an empty text."""
    cells: list[Any] = list(row[1:])
    cells[_TAGS] = orjson.dumps(cells[_TAGS]).decode() if cells[_TAGS] else None
    return cells


def _write_ndjson(rows: Iterable[Row[Any]]) -> bytes:
    option = orjson.OPT_APPEND_NEWLINE
    return b"".join(orjson.dumps(dict(zip(FIELD_NAMES, row[1:], strict=True)), option=option) for row in rows)
