"""The records of a CSV file (RFC 4180) or of an NDJSON file, each with the line it starts on.

A record that cannot be read has a fault instead of ending the import: reading goes on with the line behind the
offending one.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from contacts.imports.lines import MAX_RECORD_BYTES, Line, Lines

REPLACEMENT = "\ufffd"  # what stands for undecodable bytes and NUL, so that the place can be found
_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # what `surrogateescape` makes of undecodable bytes
_UNSHOWN = re.compile("[\0\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a record cannot be taken: `column` is an index into its cells, None where no cell is to blame."""

    column: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class CSVRecord:
    """One record of a CSV file; `line` is where it starts, the header's being 1."""

    line: int
    cells: list[str]
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class JSONRecord:
    """One line of an NDJSON file; `values` is empty where there is a fault."""

    line: int
    values: dict[str, Any]
    fault: Fault | None = None


class _QuoteOpenError(Exception):
    """A quoted cell goes on for longer than a record may be."""


class CSVRecords:
    """Reads CSV records; a blank line is none and gives None.

    A quote that is never closed would swallow what follows it, so a record ends at MAX_RECORD_BYTES: its first line
    becomes a faulty record and reading goes on with the next. `hopeless_until` remembers where such a search
    ended: any record before that offset that reaches into the next line with an open quote ends the same way, and
    without this memory a file made for it would be read again from each of its lines.
    """

    def __init__(self, lines: Lines, *, hopeless_until: int = 0) -> None:
        self._lines = lines
        self.hopeless_until = hopeless_until
        self._taken: list[Line] = []
        self._is_damaged = False

    def __iter__(self) -> Iterator[CSVRecord | None]:
        reader = csv.reader(self._texts(), strict=True)
        while True:
            self._taken.clear()
            self._is_damaged = False
            line = self._lines.number + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except (csv.Error, _QuoteOpenError) as error:
                yield self._give_up(line, error)
                reader = csv.reader(self._texts(), strict=True)
                continue
            if self._is_damaged:
                yield CSVRecord(line, [_shown(cell) for cell in cells], _damage_in(cells))
            else:
                yield CSVRecord(line, cells) if cells else None

    def _texts(self) -> Iterator[str]:
        size = 0
        while (line := self._lines.take()) is not None:
            if not self._taken:
                size = 0
            self._taken.append(line)
            size += len(line.data)
            if size > MAX_RECORD_BYTES or (len(self._taken) > 1 and line.start <= self.hopeless_until):
                raise _QuoteOpenError
            yield self._decode(line.data)

    def _decode(self, data: bytes) -> str:
        self._is_damaged |= b"\0" in data
        try:
            return data.decode()
        except UnicodeDecodeError:
            self._is_damaged = True
            return data.decode(errors="surrogateescape")

    def _give_up(self, line: int, error: Exception) -> CSVRecord:
        first, *rest = self._taken
        if rest:
            self.hopeless_until = max(self.hopeless_until, rest[-1].start)
            self._lines.push_back(rest)
        if first.is_too_long:
            return CSVRecord(line, [], Fault(None, f"the line is longer than {MAX_RECORD_BYTES} bytes"))
        cells = _cells_at_any_price(first.data)
        return CSVRecord(line, cells, Fault(len(cells) - 1, _reason(error, spans_lines=bool(rest))))


def _damage_in(cells: list[str]) -> Fault:
    for column, cell in enumerate(cells):
        if _NOT_UTF8.search(cell):
            return Fault(column, "is not UTF-8")
        if "\0" in cell:
            return Fault(column, "holds a NUL character")
    raise AssertionError("a damaged line has its damage in one of its cells")


def _shown(cell: str) -> str:
    return _UNSHOWN.sub(REPLACEMENT, cell)


def _cells_at_any_price(data: bytes) -> list[str]:
    text = _shown(data.decode(errors="surrogateescape")).rstrip("\r\n").replace("\r", " ")
    return next(csv.reader([text]), [""])


def _reason(error: Exception, *, spans_lines: bool) -> str:
    if spans_lines or isinstance(error, _QuoteOpenError) or "unexpected end" in str(error):
        return "a quote is opened and not closed; quotes inside a quoted cell are written twice"
    if "new-line" in str(error):
        return "holds a carriage return outside quotes; lines end with LF or CRLF"
    return "text follows a closing quote; quotes inside a quoted cell are written twice"


class JSONRecords:
    """Reads NDJSON records, one JSON object a line; a blank line is none and gives None."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[JSONRecord | None]:
        while (line := self._lines.take()) is not None:
            yield None if line.data.isspace() else _parse(self._lines.number, line)


def _parse(number: int, line: Line) -> JSONRecord:
    if line.is_too_long:
        return JSONRecord(number, {}, Fault(None, f"the line is longer than {MAX_RECORD_BYTES} bytes"))
    try:
        values = orjson.loads(line.data)
    except orjson.JSONDecodeError as error:
        return JSONRecord(number, {}, Fault(None, f"is not JSON: {error.msg} at character {error.pos + 1}"))
    if not isinstance(values, dict):
        return JSONRecord(number, {}, Fault(None, "is not a JSON object"))
    return JSONRecord(number, values)


Record = CSVRecord | JSONRecord
