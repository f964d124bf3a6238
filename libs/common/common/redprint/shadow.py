"""Finds decorators written above a route: the route keeps the function below them, so they never run."""

import inspect
import sys
from collections.abc import Callable, Iterable
from typing import Any

from common.redprint.errors import RedprintError, line_of
from common.redprint.route import Route


def check_not_shadowed(routes: Iterable[Route]) -> None:
    """Compare each handler with what its module now calls by its name.

    Raises RedprintError where that is another object: a wrapper around the handler, which no request reaches, or
    something that took its name. A handler defined inside a function leaves no name to compare.
    """
    routes = list(routes)
    handlers = [route.handler for route in routes]
    for route in routes:
        found = _global_of(route.handler)
        if callable(found) and found not in handlers:
            raise RedprintError(
                route.place,
                f"requests reach {route.endpoint} itself and not {_describe(found)}, which now has its name: "
                "a decorator above the route never runs, so write it below",
            )


def _global_of(handler: Callable[..., Any]) -> object:
    module = sys.modules.get(handler.__module__)
    return getattr(module, handler.__qualname__, handler)


def _describe(found: Callable[..., Any]) -> str:
    """Name the wrapper by its own code, not by the name functools.wraps has lent it."""
    code = getattr(found, "__code__", None)
    if inspect.iscode(code):
        return f"the wrapper {code.co_qualname} ({code.co_filename}:{code.co_firstlineno})"
    return f"the {type(found).__qualname__} at {line_of(type(found))}"
