"""Imports of contacts: CSV (RFC 4180) and NDJSON files, plain or gzip, streamed in chunks that can be resumed."""

from contacts.imports.contract import (
    CONTACTS_IMPORT,
    ERRORS_FILE,
    ImportPayload,
    ImportResult,
    ImportStep,
    OnConflict,
    OpenStep,
)
from contacts.imports.lines import read_head
from contacts.imports.mapping import HEAD_BYTES, check_first_bytes, parse_mapping, read_plan
from contacts.imports.pipeline import result_so_far, run

__all__ = [
    "CONTACTS_IMPORT",
    "ERRORS_FILE",
    "HEAD_BYTES",
    "ImportPayload",
    "ImportResult",
    "ImportStep",
    "OnConflict",
    "OpenStep",
    "check_first_bytes",
    "parse_mapping",
    "read_head",
    "read_plan",
    "result_so_far",
    "run",
]
