"""What can go wrong with contacts and their imports; every text may be shown to the client."""

from common.errors import DomainError


class ContactNotFound(DomainError):
    """No such contact, or it is somebody else's, or it is deleted."""


class ContactExists(DomainError):
    """Another live contact of the owner has this external_id."""


class ContactChanged(DomainError):
    """The contact has another version than the caller said it has."""


class ImportRefused(DomainError):
    """The file or its mapping cannot be imported, now or ever; the text says what to change."""


class InvalidMapping(ImportRefused):
    """The mapping is not a JSON object from column to field."""


class EmptyFile(ImportRefused):
    """No header and no record."""


class NotUTF8(ImportRefused):
    """The first part of the file is in another encoding."""


class DamagedGzip(ImportRefused):
    """The gzip stream is cut short or corrupt."""


class ImportTooLarge(ImportRefused):
    """More bytes than allowed, as sent or unpacked."""


class MalformedHeader(ImportRefused):
    """The header row cannot be read as one CSV record."""


class NotNDJSON(ImportRefused):
    """The file looks like JSON, but is not one object a line."""


class UnknownTargetField(ImportRefused):
    """The mapping names a field that contacts do not have."""


class MappedColumnAbsent(ImportRefused):
    """The mapping names a column that the file does not have."""


class DuplicateTargetField(ImportRefused):
    """Two columns would fill one field."""


class NoNameColumn(ImportRefused):
    """No column fills name, given_name or family_name."""
