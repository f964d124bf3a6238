"""The rows of a file: each record's fields, checked against the limits, or why it is rejected."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from contacts.fields import ContactFields
from contacts.imports.mapping import Plan
from contacts.imports.records import CSVRecord, CSVRecords, Fault, JSONRecord, JSONRecords, Record
from contacts.imports.rejections import Rejection, reject

_validate = TypeAdapter(ContactFields).validator.validate_python

_MAX_IGNORED = 100
_MAX_IGNORED_LENGTH = 100
_SHOWN_CELL = 60


@dataclass(frozen=True, slots=True)
class Row:
    """One record whose fields are within their limits. `fields` has only those the record's columns fill."""

    record: Record
    fields: ContactFields


class IgnoredColumns:
    """The columns that fill no field, as the result names them: the first hundred, as it has to stay small."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names: dict[str, None] = {}
        self.note(names)

    def note(self, names: Iterable[str]) -> None:
        for name in names:
            if len(self._names) == _MAX_IGNORED:
                return
            self._names[name[:_MAX_IGNORED_LENGTH]] = None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)


class _Unfit(Exception):  # it carries the answer, it reports no fault of the program
    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason


def read_csv_rows(records: CSVRecords, plan: Plan) -> Iterator[Row | Rejection | None]:
    """Yield what becomes of each CSV record, in order. An empty cell of a mapped column is None."""
    places = [(plan.columns.index(column), field) for column, field in plan.targets.items()]
    tags = next((index for index, field in places if field == "tags"), None)
    for record in records:
        if record is None:
            yield None
            continue
        try:
            cells = record.cells
            _check_shape(record, plan)
            values: dict[str, Any] = {field: cells[index].strip() or None for index, field in places}
            if tags is not None:
                values["tags"] = _tags_from_cell(cells[tags], plan.columns[tags])
            yield Row(record, _check_fields(values, plan))
        except _Unfit as unfit:
            yield reject(record, plan, unfit.column, unfit.reason)


def read_json_rows(records: JSONRecords, plan: Plan, ignored: IgnoredColumns) -> Iterator[Row | Rejection | None]:
    """Yield what becomes of each NDJSON record, in order. A key that is absent leaves its field alone."""
    for record in records:
        if record is None:
            yield None
            continue
        try:
            if record.fault:
                raise _Unfit("", record.fault.reason)
            ignored.note(key for key in record.values if key not in plan.targets)
            yield Row(record, _check_fields(_fields_of(record, plan), plan))
        except _Unfit as unfit:
            yield reject(record, plan, unfit.column, unfit.reason)


def _check_shape(record: CSVRecord, plan: Plan) -> None:
    expected, found = len(plan.columns), len(record.cells)
    if record.fault:
        raise _Unfit(_column_name(record.fault, plan), record.fault.reason)
    if found > expected:
        surplus = ", ".join(record.cells[expected:])[:_SHOWN_CELL]
        raise _Unfit(f"column {expected + 1}", f"{found} cells where the header has {expected}; too many: {surplus}")
    if found < expected:
        raise _Unfit(plan.columns[found], f"{found} cells where the header has {expected}; this one is missing")


def _column_name(fault: Fault, plan: Plan) -> str:
    if fault.column is None or fault.column < 0:
        return ""
    return plan.columns[fault.column] if fault.column < len(plan.columns) else f"column {fault.column + 1}"


def _tags_from_cell(cell: str, column: str) -> object:
    if not cell or cell.isspace():
        return []
    try:
        return orjson.loads(cell)
    except orjson.JSONDecodeError:
        raise _Unfit(column, 'is not a JSON list of texts, such as ["friend", "berlin"]') from None


def _fields_of(record: JSONRecord, plan: Plan) -> dict[str, Any]:
    fields = {
        plan.targets[column]: (value.strip() or None) if isinstance(value, str) else value
        for column, value in record.values.items()
        if column in plan.targets
    }
    if fields.get("tags", ...) is None:
        fields["tags"] = []
    return fields


def _check_fields(values: dict[str, Any], plan: Plan) -> ContactFields:
    try:
        return _validate(values)  # type: ignore[no-any-return] # the core validator is untyped; the adapter's type is this
    except ValidationError as invalid:
        faults = [(str(fault["loc"][0]), fault["msg"]) for fault in invalid.errors(include_url=False)]
        (field, reason), *others = dict(faults).items()
        also = "".join(f"; {plan.column_of(other)}: {text}" for other, text in others)
        raise _Unfit(plan.column_of(field), reason + also) from None
