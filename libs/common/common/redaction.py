"""Keeps secrets out of logs: by the name of a field, and by their look inside other text."""

import re
from collections.abc import Mapping
from functools import lru_cache

from structlog.typing import EventDict, WrappedLogger

REDACTED = "[redacted]"

_SECRET_NAME = re.compile(r"passw|secret|tokens?$|authorization|cookie|api_?key|private_?key|credential", re.IGNORECASE)
# A bearer token, the password of a URL, a JWT, a refresh token.
# The look behind a JWT keeps the search linear: "-eyJ-eyJ-eyJ..." would be read to its end from each of its parts.
_SECRET_TEXT = re.compile(
    r"(?P<before>\bbearer +)[^\s,;'\"]+|(?P<user>://[^/\s:@]*:)[^/\s]+(?=@)"
    r"|(?<![\w-])eyJ[\w-]{5,}\.[\w-]+\.[\w-]*|\brt\d\.[\w.-]+",
    re.IGNORECASE,
)
# Each kind of secret text has one of these. Looking for them costs a tenth of the expression, on every line.
_MARK = re.compile(r"eyJ|earer |EARER |://|rt[01]\.")


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the secrets of an event, at any depth (a structlog processor)."""
    for name, value in event.items():
        # Nearly every field is plain text: to see that here and not three calls below halves the cost of a line.
        if type(value) is not str or _is_secret_name(name) or _MARK.search(value):
            event[name] = _redact_value(name, value)
    return event


def _redact_value(name: object, value: object) -> object:
    if isinstance(value, str):
        return REDACTED if _is_secret_name(name) else _redact_text(value)
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, bytes):
        return _redact_value(name, value.decode(errors="replace"))
    if isinstance(value, Mapping):
        return {key: _redact_value(key, item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact_value(name, item) for item in value]
    return _redact_value(name, str(value))


@lru_cache(maxsize=1024)
def _is_secret_name(name: object) -> bool:
    return isinstance(name, str) and _SECRET_NAME.search(name) is not None


def _redact_text(text: str) -> str:
    if not _MARK.search(text):
        return text
    return _SECRET_TEXT.sub(lambda match: (match["before"] or match["user"] or "") + REDACTED, text)
