"""Logs: one JSON line an event on standard output, readable text in development, secrets in neither.

Our code logs events with fields: `structlog.get_logger(__name__).info("job_claimed", job_id=...)`. What
libraries and gunicorn write through `logging` goes the same way. Fields bound with
`structlog.contextvars.bind_contextvars` (request, trace and user ids) are on every line.
"""

import json
import logging
import sys
from contextlib import suppress
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from common.config import Settings
from common.redaction import redact


def configure_logging(settings: Settings) -> None:
    """Send everything this process logs to standard output, in the format and from the level of `settings`.

    May be called again: the last call holds.
    """
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=_processors(settings),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_LineLogger,
        # A cached logger would keep the configuration of its first use, which in a test is another test's.
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, StructlogHandler)]
    root.addHandler(StructlogHandler())
    root.setLevel(level)


class StructlogHandler(logging.Handler):
    """Passes what was logged through `logging` to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record as an event; its logger's name is a field."""
        try:
            level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)  # structlog knows five
            structlog.get_logger().log(level, record.getMessage(), logger=record.name, exc_info=record.exc_info or None)
        except Exception:
            # As logging's own handlers do: a bad log line never fails the work.
            self.handleError(record)


class _LineLogger:
    """Writes finished lines to the standard output of the moment, each in one call, so that threads do not mix them."""

    def __init__(self, *_names: object) -> None:
        """Take and ignore what `structlog.get_logger` was called with."""

    def msg(self, line: bytes) -> None:
        # A reader that went away is no reason to fail requests.
        with suppress(OSError, ValueError):
            sys.stdout.buffer.write(line + b"\n")
            sys.stdout.buffer.flush()

    debug = info = warning = error = critical = msg


def _processors(settings: Settings) -> list[Processor]:
    service = settings.service_name

    def add_service(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_service,
        # Tracebacks without local variables: those hold passwords and tokens.
        structlog.processors.format_exc_info,
        redact,
        *(_TEXT if settings.log_format == "text" else _JSON),
    ]


def _render_json(_logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # A lone surrogate from the outside world: escape it rather than lose the line.
        return json.dumps(event, default=str).encode()


# An address may hold what moves a terminal's cursor; lines and tabs are the renderer's own.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def _encode(_logger: WrappedLogger, _method: str, text: Any) -> bytes:
    return str(text).translate(_CONTROLS).encode(errors="backslashreplace")


_JSON: list[Processor] = [_render_json]
_TEXT: list[Processor] = [
    structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    _encode,
]
