"""Cursors of the operator's lists: a moment and an id."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from common.errors import FieldError, FieldErrors
from common.jwt.encoding import decode_base64url, encode_base64url

from jobs.use_cases.inspecting import Place

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TIME_BYTES = 8
_NOT_ENDED = 0


def encode_place(place: Place) -> str:
    """The place as 32 characters, opaque to clients."""
    at = _NOT_ENDED if place.finished_at is None else (place.finished_at - _BEGINNING) // _MICROSECOND
    return encode_base64url(at.to_bytes(_TIME_BYTES, "big") + place.job_id.bytes)


def decode_place(cursor: str) -> Place:
    """The place a cursor stands for. Raises FieldErrors for anything else."""
    try:
        data = decode_base64url(cursor)
        at = int.from_bytes(data[:_TIME_BYTES], "big")
        finished_at = None if at == _NOT_ENDED else _BEGINNING + at * _MICROSECOND
        return Place(finished_at, UUID(bytes=data[_TIME_BYTES:]))
    except (ValueError, OverflowError):
        message = "not a cursor of this list; take next_cursor of the page before as it is"
        raise FieldErrors([FieldError("cursor", "invalid-cursor", message)]) from None
