"""The one error of a Redprint, and how it finds the line to blame."""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PACKAGE = str(Path(__file__).parent)


class RedprintError(Exception):
    """A route, a name or a mount that would not do what it looks like; the text starts with `file:line`."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")


def calling_line() -> str:
    """Return `file:line` of the code that called into this package."""
    frame = sys._getframe(1)  # noqa: SLF001 - inspect.stack() reads every source file on the way
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def line_of(handler: Callable[..., Any]) -> str:
    """Return `file:line` of a function or class, or of its module's name where Python does not know."""
    try:
        target = inspect.unwrap(handler)
        file, line = inspect.getsourcefile(target), inspect.getsourcelines(target)[1]
    except (OSError, TypeError):
        file, line = None, 0
    # Since Python 3.13 code made at run time can have the source of `python -c` for its own: both are called <string>.
    if file is None or file.startswith("<"):
        return str(getattr(handler, "__module__", repr(handler)))
    return f"{file}:{line}"
