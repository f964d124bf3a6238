"""What can go wrong with contacts and their imports; every text may be shown to the client."""

from typing import ClassVar

from common.errors import DomainError, FieldError


class ContactNotFound(DomainError):
    """No such contact, or it is somebody else's, or it is deleted."""


class ContactExists(DomainError):
    """Another live contact of the owner has this external_id."""


class ContactChanged(DomainError):
    """The contact has another version than the caller said it has."""


class ImportRefused(DomainError):
    """The file or its mapping cannot be imported, now or ever; the text says what to change."""

    code: ClassVar[str]
    field: ClassVar[str] = "file"

    @property
    def errors(self) -> list[FieldError]:
        """The one part of the upload that is to blame."""
        return [FieldError(self.field, self.code, str(self))]


class InvalidMapping(ImportRefused):
    """The mapping is not a JSON object from column to field."""

    code = "invalid-mapping"
    field = "mapping"


class EmptyFile(ImportRefused):
    """No header and no record."""

    code = "empty-file"


class NotUTF8(ImportRefused):
    """The first part of the file is in another encoding."""

    code = "not-utf8"


class DamagedGzip(ImportRefused):
    """The gzip stream is cut short or corrupt."""

    code = "damaged-gzip"


class ImportTooLarge(ImportRefused):
    """More bytes than allowed, as sent or unpacked."""

    code = "import-too-large"


class MalformedHeader(ImportRefused):
    """The header row cannot be read as one CSV record."""

    code = "malformed-header"


class TooManyColumns(ImportRefused):
    """The file has more columns than an import takes."""

    code = "too-many-columns"


class NotNDJSON(ImportRefused):
    """The file looks like JSON, but is not one object a line."""

    code = "not-ndjson"


class UnknownTargetField(ImportRefused):
    """The mapping names a field that contacts do not have."""

    code = "unknown-target-field"
    field = "mapping"


class MappedColumnAbsent(ImportRefused):
    """The mapping names a column that the file does not have."""

    code = "mapped-column-absent"
    field = "mapping"


class DuplicateTargetField(ImportRefused):
    """Two columns would fill one field."""

    code = "duplicate-target-field"


class NoNameColumn(ImportRefused):
    """No column fills name, given_name or family_name."""

    code = "no-name-column"
