"""Places in a list ordered by last use, newest first, and the cursors that stand for them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from common.errors import FieldError, FieldErrors
from common.jwt.encoding import decode_base64url, encode_base64url

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TIME_BYTES = 8


@dataclass(frozen=True)
class LastUse:
    """A session and when it was used; two may have been used at the same moment."""

    at: datetime
    session_id: UUID

    def to_cursor(self) -> str:
        """The place as 32 characters, opaque to clients."""
        return encode_base64url(self._microseconds.to_bytes(_TIME_BYTES, "big") + self.session_id.bytes)

    @classmethod
    def of_cursor(cls, cursor: str) -> "LastUse":
        """The place a cursor stands for. Raises FieldErrors for anything else."""
        try:
            data = decode_base64url(cursor)
            at = _BEGINNING + int.from_bytes(data[:_TIME_BYTES], "big") * _MICROSECOND
            return cls(at, UUID(bytes=data[_TIME_BYTES:]))
        except (ValueError, OverflowError):
            message = "not a cursor of this list; take next_cursor of the page before as it is"
            raise FieldErrors([FieldError("cursor", "invalid-cursor", message)]) from None

    @property
    def _microseconds(self) -> int:
        return (self.at - _BEGINNING) // _MICROSECOND
