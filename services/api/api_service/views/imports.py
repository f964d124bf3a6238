"""The texts that come with an upload."""

from common.errors import FieldError, FieldErrors
from contacts.imports import OnConflict, parse_mapping

TEXT_PARTS = frozenset({"mapping", "on_conflict"})


def read_mapping(texts: dict[str, str]) -> dict[str, str | None]:
    """Return the column mapping, empty where none was sent. Raises InvalidMapping, UnknownTargetField."""
    return parse_mapping(texts["mapping"]) if "mapping" in texts else {}


def read_on_conflict(texts: dict[str, str]) -> OnConflict:
    """Return what happens to rows whose external_id is taken, an error where nothing was sent. Raises FieldErrors."""
    try:
        return OnConflict(texts.get("on_conflict", OnConflict.ERROR))
    except ValueError:
        message = f"This is one of {', '.join(OnConflict)}."
        raise FieldErrors([FieldError("on_conflict", "enum", message)]) from None
