"""Which column of a file fills which field: decided from the mapping and the first part of the file.

What is wrong here is wrong for every row, so it refuses the whole file, and an upload can be refused before any of it
is stored.
"""

import codecs
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

import orjson

from contacts.errors import (
    DuplicateTargetField,
    EmptyFile,
    InvalidMapping,
    MalformedHeader,
    MappedColumnAbsent,
    NoNameColumn,
    NotNDJSON,
    NotUTF8,
    TooManyColumns,
    UnknownTargetField,
)
from contacts.fields import FIELD_NAMES, NAME_FIELDS
from contacts.imports.lines import BOM, GZIP_MAGIC, Lines
from contacts.imports.records import CSVRecords, JSONRecord, JSONRecords, Record

HEAD_BYTES = 64 * 1024
"""How much of a file, unpacked, decides whether it can be imported at all."""
MAX_COLUMNS = 1000
"""A rejected row is written with all columns: with more, a small file of short rows would become a huge one."""

_JSON_ARRAY = re.compile(r"\s*\[\s*(?:[{\]]|$)")
_SHOWN_CHARACTERS = 60

ColumnMapping = Mapping[str, str | None]
"""Column to field; None ignores the column, also where it is named like a field."""


class FileFormat(StrEnum):
    """What a file is, told by its content: an NDJSON file starts with `{`."""

    CSV = "csv"
    NDJSON = "ndjson"


@dataclass(frozen=True)
class Plan:
    """How the records of one file become fields."""

    file_format: FileFormat
    columns: tuple[str, ...]
    """CSV: the header. NDJSON: the keys of the first records and all fields, as a header for rejected rows."""
    targets: Mapping[str, str]
    """Column to field. NDJSON: also columns that the first records do not have."""
    ignored_columns: tuple[str, ...]

    def column_of(self, field: str) -> str:
        """The column that fills a field; for an unmapped name, one of those a name could be made of."""
        columns = {target: column for column, target in self.targets.items() if column in self.columns}
        wanted = (field, *NAME_FIELDS) if field == "name" else (field,)
        return next((columns[name] for name in wanted if name in columns), field)

    def cells_of(self, record: Record) -> list[str]:
        """The record as a CSV row under `columns`, as long as the header whatever the record's own length is."""
        if isinstance(record, JSONRecord):
            return [_as_cell(record.values.get(column)) for column in self.columns]
        missing = len(self.columns) - len(record.cells)
        return record.cells[: len(self.columns)] + [""] * missing


def parse_mapping(text: str) -> dict[str, str | None]:
    """Return the mapping written as a JSON object. Raises InvalidMapping, UnknownTargetField."""
    try:
        mapping = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidMapping(f"mapping is not JSON: {error}") from error
    if not isinstance(mapping, dict):
        raise InvalidMapping("mapping is a JSON object from column to field.")
    for column, field in mapping.items():
        if field is not None and not isinstance(field, str):
            raise InvalidMapping(f"mapping has no field name for the column {_shown(column)}.")
    _check_targets(mapping)
    return mapping


def read_plan(head: bytes, mapping: ColumnMapping) -> Plan:
    """Return how a file is to be read whose first HEAD_BYTES unpacked bytes are `head` (all of a shorter file).

    Raises a subclass of ImportRefused for each thing that no row could be imported with.
    """
    _check_encoding(head)
    _check_targets(mapping)
    if head.removeprefix(BOM).lstrip().startswith(b"{"):
        return _plan_ndjson(head, mapping)
    return _plan_csv(head, mapping)


def check_first_bytes(head: bytes) -> None:
    """Refuse a file by its first HEAD_BYTES as stored, before the rest has arrived. Raises EmptyFile, NotUTF8.

    A gzip stream passes: `read_plan` sees into it once it is there.
    """
    if not head.startswith(GZIP_MAGIC):
        _check_encoding(head)


def _check_encoding(head: bytes) -> None:
    if not head.removeprefix(BOM).strip():
        raise EmptyFile(f"The file is empty, at least in its first {HEAD_BYTES} bytes; CSV starts with a header row.")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or _looks_like_utf16(head):
        raise NotUTF8("The file is UTF-16; save it as UTF-8 and import it again.")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < HEAD_BYTES)
    except UnicodeDecodeError as error:
        line = head.count(b"\n", 0, error.start) + 1
        message = f"The file is not UTF-8: byte 0x{head[error.start]:02X} in line {line}. Save it as UTF-8."
        raise NotUTF8(message) from error


def _looks_like_utf16(head: bytes) -> bool:
    # Without a byte order mark: in Latin text every other byte is NUL.
    return head[:100].count(0) * 3 > len(head[:100])


def _check_targets(mapping: ColumnMapping) -> None:
    for column, field in mapping.items():
        if field is not None and field not in FIELD_NAMES:
            known = ", ".join(FIELD_NAMES)
            message = (
                f"The column {_shown(column)} is mapped to {_shown(field)}, which is no field. Fields are {known}."
            )
            raise UnknownTargetField(message)


def _plan_csv(head: bytes, mapping: ColumnMapping) -> Plan:
    columns = _read_header(head)
    _check_width(columns)
    targets = _pick_targets(columns, mapping)
    ignored = tuple(dict.fromkeys(column for column in columns if column not in targets))
    return Plan(FileFormat.CSV, columns, targets, ignored)


def _read_header(head: bytes) -> tuple[str, ...]:
    if _JSON_ARRAY.match(head.removeprefix(BOM)[:1000].decode(errors="replace")):
        raise NotNDJSON("The file is a JSON array; NDJSON has one object a line and no brackets around them.")
    lines = Lines(io.BytesIO(head), max_bytes=HEAD_BYTES)
    header = next(record for record in CSVRecords(lines) if record is not None)
    if header.fault:
        raise MalformedHeader(f"The header row (line {header.line}) cannot be read: {header.fault.reason}.")
    if lines.offset == HEAD_BYTES and not head.endswith(b"\n"):
        raise MalformedHeader(f"The header row does not end within the first {HEAD_BYTES} bytes.")
    return tuple(cell.strip() for cell in header.cells)


def _plan_ndjson(head: bytes, mapping: ColumnMapping) -> Plan:
    keys = _read_keys(head)
    _check_width(keys)
    picked = _pick_targets(keys, mapping)
    # Later records may have fields that the first ones lack; these map themselves unless another column fills them.
    later = {name: name for name in FIELD_NAMES if name not in picked.values() and name not in mapping}
    columns = (*keys, *(name for name in later if name not in keys))
    return Plan(FileFormat.NDJSON, columns, picked | later, ())


def _read_keys(head: bytes) -> tuple[str, ...]:
    complete = head if len(head) < HEAD_BYTES else head[: head.rfind(b"\n") + 1]
    lines = Lines(io.BytesIO(complete), max_bytes=HEAD_BYTES)
    records = (record for record in JSONRecords(lines) if record is not None)
    first = next(records, None)
    if first is None:
        raise NotNDJSON(f"The first JSON object does not end within the first {HEAD_BYTES} bytes.")
    if first.fault:
        raise NotNDJSON(f"Line {first.line} {first.fault.reason}; NDJSON has one object a line.")
    return tuple(dict.fromkeys(key for record in (first, *records) for key in record.values))


def _check_width(columns: tuple[str, ...]) -> None:
    if len(columns) > MAX_COLUMNS:
        raise TooManyColumns(f"The file has {len(columns)} columns; an import takes up to {MAX_COLUMNS}.")


def _pick_targets(columns: tuple[str, ...], mapping: ColumnMapping) -> dict[str, str]:
    """Column to field for the columns that fill one. The mapping wins over a column's own name."""
    mapping = {column.strip(): field for column, field in mapping.items()}
    for column in mapping:
        if column not in columns:
            raise MappedColumnAbsent(f"The mapping names the column {_shown(column)}; the file has {_listed(columns)}.")
    filled = [(column, mapping.get(column, column)) for column in columns]
    pairs = [(column, field) for column, field in filled if field in FIELD_NAMES]
    for field, times in Counter(field for _, field in pairs).items():
        if times > 1:
            rivals = [column for column, target in pairs if target == field]
            remedy = "Map all but one of them to null" if len(set(rivals)) == times else "Give each a name of its own"
            raise DuplicateTargetField(
                f"The field {field} is filled by more than one column: {_listed(rivals)}. {remedy}."
            )
    if not any(field in NAME_FIELDS for _, field in pairs):
        raise NoNameColumn(
            f"No column fills name, given_name or family_name; the file has {_listed(columns)}. Name one in mapping."
        )
    return {column: field for column, field in pairs if field is not None}


def _as_cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _shown(name: str) -> str:
    return f'"{name}"' if len(name) <= _SHOWN_CHARACTERS else f'"{name[:_SHOWN_CHARACTERS]}..."'


def _listed(columns: Iterable[str], most: int = 10) -> str:
    names = [_shown(column) for column in islice(columns, most + 1)]
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
