"""What one route declares, and every reason to refuse it while its line is still at hand."""

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from flask import Flask
from flask.views import MethodView
from pydantic import BaseModel

from common.access import Access
from common.idempotency.table import MAX_ROUTE_LENGTH
from common.redprint.errors import RedprintError, line_of

Handler = Callable[..., Any]
BodyLimit = int | Callable[[Flask], int]

METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_METHODS = METHODS_WITH_BODY | {"GET", "HEAD", "DELETE", "OPTIONS"}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Deprecation:
    """That and since when a mount is on its way out (RFC 9745), when it ends (RFC 8594), and where to read on.

    Both moments are aware; `link` is a URL.
    """

    since: datetime
    sunset: datetime | None = None
    link: str | None = None


class RouteOptions(TypedDict, total=False):
    """The options `Redprint.get` and its kind pass on to `Redprint.route`, which explains them."""

    access: Access
    body: type[BaseModel] | None
    body_required: bool
    query: type[BaseModel] | None
    response: type[BaseModel] | None
    status: int
    tags: Iterable[str]
    deprecated: bool
    endpoint: str | None
    summary: str | None
    max_body_bytes: BodyLimit | None
    idempotent: bool


@dataclass(frozen=True)
class Route:
    """One line above a handler. Mounting reads it and changes nothing in it."""

    rule: str
    handler: Handler
    endpoint: str
    methods: tuple[str, ...]
    access: Access
    body: type[BaseModel] | None
    body_required: bool
    query: type[BaseModel] | None
    response: type[BaseModel] | None
    status: int
    tags: tuple[str, ...]
    deprecated: bool
    summary: str
    max_body_bytes: BodyLimit | None
    idempotent: bool
    place: str

    @property
    def methods_with_body(self) -> frozenset[str]:
        """The methods whose body is read: a GET never, a DELETE only where the route serves nothing else."""
        methods = frozenset(self.methods)
        return methods & METHODS_WITH_BODY or methods & {"DELETE"}

    @property
    def is_class(self) -> bool:
        """Whether the handler is a MethodView, whose methods get the request."""
        return isinstance(self.handler, type)

    def function_for(self, method: str) -> Handler:
        """Return what answers a method: the handler, or that method of a MethodView. Raises RedprintError."""
        if not self.is_class:
            return self.handler
        function: Handler | None = getattr(self.handler, method.lower(), None)
        if function is None:
            raise RedprintError(self.place, f"{self.endpoint} has no method {method.lower()}(), so drop {method}")
        return function

    def shapes_for(self, method: str) -> list[str]:
        """Return which of `body` and `query` a handler gets with a method."""
        has_body = self.body is not None and method in self.methods_with_body
        return ["body"] * has_body + ["query"] * (self.query is not None)


def check_name(name: object, place: str) -> str:
    """Return a name fit for an endpoint and a path segment; raises RedprintError for any other."""
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    raise RedprintError(
        place, f"{name!r} is no name: it is a letter, then letters, digits, '_' or '-' (a dot would split the endpoint)"
    )


def check_prefix(prefix: str, place: str) -> str:
    """Return a URL prefix without a slash at its end, empty for none."""
    if prefix and not prefix.startswith("/"):
        raise RedprintError(place, f"the URL prefix {prefix!r} has to start with a slash")
    return check_slashes(prefix.rstrip("/"), place)


def check_slashes(path: str, place: str) -> str:
    """Return the path unless it holds an empty segment, which no client would send."""
    if "//" in path:
        raise RedprintError(place, f"{path!r} holds a double slash")
    return path


def check_rule(rule: str, place: str) -> str:
    """Return a rule Flask can join to a prefix: empty, or with a leading slash."""
    if rule and not rule.startswith("/"):
        raise RedprintError(place, f"the rule {rule!r} has to start with a slash (or be empty)")
    return check_slashes(rule, place)


def check_access(access: object, route: str, place: str) -> Access:
    """Return the access rule; raises RedprintError, with the route's name, where there is none."""
    if isinstance(access, Access):
        return access
    raise RedprintError(
        place,
        f"the route {route} declares no access: add access=public, access=user or access=require('resource:action')",
    )


def check_methods(methods: Iterable[str], place: str) -> tuple[str, ...]:
    """Return the methods in upper case."""
    listed = () if isinstance(methods, str) else tuple(method.upper() for method in methods)
    if not listed or not set(listed) <= _METHODS:
        raise RedprintError(place, f"methods={methods!r} is not a list of {', '.join(sorted(_METHODS))}")
    return listed


def methods_of(handler: Handler, methods: Iterable[str] | None, place: str) -> tuple[str, ...]:
    """Return the methods a handler serves: as declared, else those of a MethodView, else GET."""
    if methods is not None:
        return check_methods(methods, place)
    if isinstance(handler, type) and issubclass(handler, MethodView):
        return check_methods(sorted(handler.methods or ()), place)
    return ("GET",)


def check_call(rule: object) -> None:
    """Refuse `@items.get` written without its rule, which would swallow the function below it."""
    if callable(rule):
        raise RedprintError(line_of(rule), 'the decorator above lacks its rule: write .get("/...", access=...)')


def check_route(route: Route) -> None:
    """Refuse a handler that could not answer a request. Raises RedprintError."""
    if route.is_class and not issubclass(route.handler, MethodView):  # type: ignore[arg-type] # is_class has asked
        raise RedprintError(route.place, f"{route.endpoint} is a class; the only ones that answer are MethodViews")
    if route.body is None and not route.body_required:
        raise RedprintError(route.place, f"{route.endpoint} has body_required=False, and no body= to leave out")
    if route.body is not None and not route.methods_with_body:
        raise RedprintError(route.place, f"{route.endpoint} declares a body, which {', '.join(route.methods)} has not")
    if route.idempotent and not (route.methods == ("POST",) and _is_for_users(route.access)):
        raise RedprintError(
            route.place, f"{route.endpoint} has idempotent=True, which is for a POST of users: keys belong to somebody"
        )
    for method in route.methods:
        if inspect.iscoroutinefunction(inspect.unwrap(route.function_for(method))):
            raise RedprintError(
                route.place, f"{route.endpoint} is async; handlers run in threads and are plain functions"
            )


def _is_for_users(access: Access) -> bool:
    return access.authenticated and not access.service_only


def check_key_route(route: Route, rule: str) -> None:
    """Refuse a rule that is too long to keep with the keys of its requests. Raises RedprintError."""
    if route.idempotent and len(f"POST {rule}") > MAX_ROUTE_LENGTH:
        raise RedprintError(
            route.place, f"the rule {rule} is too long for idempotent=True, which takes {MAX_ROUTE_LENGTH} letters"
        )


def check_arguments(route: Route, rule: str, parameters: Iterable[str]) -> None:
    """Refuse a handler that does not take what a request of the whole `rule` gives it, or needs more.

    Before mounting this is unknown: a prefix may hold parameters too. Raises RedprintError.
    """
    for method in route.methods:
        given = dict.fromkeys([*parameters, *route.shapes_for(method)])
        try:
            inspect.signature(route.function_for(method)).bind(*[None] * route.is_class, **given)
        except TypeError as error:
            raise RedprintError(
                route.place,
                f"{route.endpoint} cannot answer {method} {rule}: {error}; "
                "a handler takes the parameters of its rule, and body and query if its route declares them",
            ) from None
