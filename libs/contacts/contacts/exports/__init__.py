"""Exports of contacts: an owner's live contacts, all or those with a tag, as CSV or NDJSON that imports read again."""

from contacts.exports.contract import (
    CONTACTS_EXPORT,
    CONTENT_TYPES,
    ContactFilter,
    ExportChunk,
    ExportFormat,
    ExportPayload,
    ExportResult,
    OpenChunk,
    OpenRead,
    file_name,
)
from contacts.exports.pipeline import run

__all__ = [
    "CONTACTS_EXPORT",
    "CONTENT_TYPES",
    "ContactFilter",
    "ExportChunk",
    "ExportFormat",
    "ExportPayload",
    "ExportResult",
    "OpenChunk",
    "OpenRead",
    "file_name",
    "run",
]
