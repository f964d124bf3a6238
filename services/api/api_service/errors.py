"""Which status each exception of contacts, jobs and files becomes."""

from collections.abc import Mapping

from common.errors import DomainError
from common.problems import Problem
from contacts.errors import (
    ContactChanged,
    ContactExists,
    ContactNotFound,
    DamagedGzip,
    DuplicateTargetField,
    EmptyFile,
    ImportRefused,
    ImportTooLarge,
    InvalidMapping,
    MalformedHeader,
    MappedColumnAbsent,
    NoNameColumn,
    NotNDJSON,
    NotUTF8,
    TooManyColumns,
    UnknownTargetField,
)
from jobs.admin import ADMIN_PROBLEMS
from jobs.errors import TooManyJobs
from jobs.files import FileNotFound, FileTooLarge


class NotMultipart(DomainError):
    """The upload is declared as something else than multipart/form-data."""


class MalformedMultipart(DomainError):
    """The upload is not multipart/form-data as RFC 7578 has it."""


class ErrorsNotFound(DomainError):
    """The job rejected no rows."""


class ResultNotFound(DomainError):
    """The job has written no file, or not all of it yet."""


class TooManyStreams(DomainError):
    """Half of this process's threads send events already, or all but one something that lasts."""

    retry_after_seconds = 5


class TooManyDownloads(DomainError):
    """All of this process's threads but one are busy with clients that take their time."""

    retry_after_seconds = 5


def _refusal(refused: type[ImportRefused], title: str, status: int = 422) -> Problem:
    return Problem(status, refused.code, title)


PROBLEMS: Mapping[type[Exception], Problem] = {
    ContactNotFound: Problem(404, "contact-not-found", "Contact not found"),
    ContactExists: Problem(409, "contact-exists", "Contact exists"),
    ContactChanged: Problem(412, "contact-changed", "Contact changed"),
    **ADMIN_PROBLEMS,  # JobNotFound, which owners meet too, among them
    TooManyJobs: Problem(429, "too-many-jobs", "Too many jobs"),
    FileTooLarge: Problem(413, ImportTooLarge.code, "Import too large"),
    FileNotFound: Problem(404, "file-not-found", "File not found"),  # deleted with its job since that was looked at
    ErrorsNotFound: Problem(404, "errors-not-found", "No rejected rows"),
    ResultNotFound: Problem(404, "result-not-found", "No result"),
    TooManyStreams: Problem(503, "too-many-streams", "Too many streams"),
    TooManyDownloads: Problem(503, "too-many-downloads", "Too many downloads"),
    NotMultipart: Problem(415, "unsupported-media-type", "Unsupported Media Type"),
    MalformedMultipart: Problem(400, "malformed-multipart", "Malformed multipart"),
    ImportTooLarge: _refusal(ImportTooLarge, "Import too large", status=413),
    EmptyFile: _refusal(EmptyFile, "Empty file"),
    NotUTF8: _refusal(NotUTF8, "Not UTF-8"),
    DamagedGzip: _refusal(DamagedGzip, "Damaged gzip"),
    MalformedHeader: _refusal(MalformedHeader, "Malformed header"),
    TooManyColumns: _refusal(TooManyColumns, "Too many columns"),
    NotNDJSON: _refusal(NotNDJSON, "Not NDJSON"),
    InvalidMapping: _refusal(InvalidMapping, "Invalid mapping"),
    UnknownTargetField: _refusal(UnknownTargetField, "Unknown target field"),
    MappedColumnAbsent: _refusal(MappedColumnAbsent, "Mapped column absent"),
    DuplicateTargetField: _refusal(DuplicateTargetField, "Two columns for one field"),
    NoNameColumn: _refusal(NoNameColumn, "No name column"),
}
