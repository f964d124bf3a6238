"""The Redprint itself: a name and a list of routes, mounted on any number of Blueprints and changed by none."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar, Unpack, cast
from weakref import WeakKeyDictionary

from flask import Blueprint, Flask
from flask.blueprints import BlueprintSetupState
from pydantic import BaseModel

from common.access import Access
from common.redprint.deprecation import deprecation_headers
from common.redprint.errors import RedprintError, calling_line, line_of
from common.redprint.registry import register_route
from common.redprint.route import (
    BodyLimit,
    Deprecation,
    Route,
    RouteOptions,
    check_access,
    check_arguments,
    check_call,
    check_key_route,
    check_name,
    check_prefix,
    check_route,
    check_rule,
    methods_of,
)
from common.redprint.shadow import check_not_shadowed
from common.redprint.view import build_view

H = TypeVar("H", bound=Callable[..., Any])

# Which names are mounted on a Blueprint, and where. Kept here and not in the Redprint: mounting leaves that alone.
_mounts: WeakKeyDictionary[Blueprint, dict[str, str]] = WeakKeyDictionary()


class Redprint:
    """The routes of one resource. Their endpoints are `<blueprint>.<name>.<handler>`.

    They stand below `/<name>`, below `url_prefix` where it is given, or with `with_prefix=False` below nothing of
    their own. `tags` are those of routes that name none; the default is the name. Raises RedprintError.
    """

    def __init__(
        self, name: str, with_prefix: bool = True, *, url_prefix: str | None = None, tags: Iterable[str] = ()
    ) -> None:
        place = calling_line()
        self.name = check_name(name, place)
        if url_prefix is not None and not with_prefix:
            raise RedprintError(place, f"{name} has with_prefix=False and url_prefix={url_prefix!r}; say one of them")
        own_prefix = f"/{name}" if with_prefix else ""
        self.url_prefix = own_prefix if url_prefix is None else check_prefix(url_prefix, place)
        self.tags = tuple(tags) or (name,)
        self._routes: list[Route] = []
        self._mounted_at: str | None = None

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes in the order of their definition."""
        return tuple(self._routes)

    def route(
        self,
        rule: str,
        *,
        methods: Iterable[str] | None = None,
        access: Access | None = None,
        body: type[BaseModel] | None = None,
        body_required: bool = True,
        query: type[BaseModel] | None = None,
        response: type[BaseModel] | None = None,
        status: int = 200,
        tags: Iterable[str] = (),
        deprecated: bool = False,
        endpoint: str | None = None,
        summary: str | None = None,
        max_body_bytes: BodyLimit | None = None,
        idempotent: bool = False,
    ) -> Callable[[H], H]:
        """Declare the function or MethodView below as the handler of `rule`, and return it unchanged.

        `methods`: GET, or all of a MethodView's. `access`: who may call (`common.access`); a route without it is
        refused. `body`, `query`: shapes the handler gets as arguments of these names; with `body_required=False` a
        request may have no body, and the handler gets None. `response`: the shape it returns, sent with `status`.
        `endpoint` replaces the handler's name as the last part. `summary`: one line, by default the docstring's
        first. `max_body_bytes` lifts BODY_LIMIT_BYTES, as a number or a function of the application. `idempotent`:
        a client may send an Idempotency-Key, and the handler writes through `common.web.idempotency.write_once`.
        Raises RedprintError, which names the file and line of the handler.
        """
        check_call(rule)

        def declare(handler: H) -> H:
            place = line_of(handler)
            name = check_name(handler.__name__ if endpoint is None else endpoint, place)
            self._add(
                Route(
                    rule=check_rule(rule, place),
                    handler=handler,
                    endpoint=name,
                    methods=methods_of(handler, methods, place),
                    access=check_access(access, f"{rule!r} ({self.name}.{name})", place),
                    body=body,
                    body_required=body_required,
                    query=query,
                    response=response,
                    status=status,
                    tags=tuple(tags) or self.tags,
                    deprecated=deprecated,
                    summary=_summarise(handler) if summary is None else summary,
                    max_body_bytes=max_body_bytes,
                    idempotent=idempotent,
                    place=place,
                )
            )
            return handler

        return declare

    def get(self, rule: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """`route` for GET."""
        return self.route(rule, methods=("GET",), **options)

    def post(self, rule: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """`route` for POST."""
        return self.route(rule, methods=("POST",), **options)

    def put(self, rule: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """`route` for PUT."""
        return self.route(rule, methods=("PUT",), **options)

    def patch(self, rule: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """`route` for PATCH."""
        return self.route(rule, methods=("PATCH",), **options)

    def delete(self, rule: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """`route` for DELETE."""
        return self.route(rule, methods=("DELETE",), **options)

    def register(self, bp: Blueprint, url_prefix: str | None = None, deprecation: Deprecation | None = None) -> None:
        """Mount the routes on a Blueprint, below `url_prefix` instead of the own prefix where it is given.

        `deprecation` marks this mount's routes and adds its headers to their answers. Raises RedprintError for a
        second mount on one Blueprint, for a Blueprint an application has already taken, and for a decorator above
        a route, which would never run.
        """
        place = calling_line()
        prefix = self.url_prefix if url_prefix is None else check_prefix(url_prefix, place)
        check_not_shadowed(self._routes)
        self._enter_mount(bp, place)
        mount = Blueprint(self.name, bp.import_name, url_prefix=prefix or None)
        for route in self._routes:
            mount.record(partial(_add_to_application, route=route, deprecation=deprecation))
        if deprecation is not None:
            mount.after_request(deprecation_headers(deprecation))
        try:
            bp.register_blueprint(mount)
        except AssertionError:
            raise RedprintError(
                place, f"the Blueprint {bp.name} is already part of an application; mount {self.name} before"
            ) from None
        self._mounted_at = self._mounted_at or place

    def _add(self, route: Route) -> None:
        check_route(route)
        if self._mounted_at is not None:
            raise RedprintError(
                route.place,
                f"{self.name}.{route.endpoint} comes after {self.name} was mounted at {self._mounted_at} "
                "and would be missing there; define it before",
            )
        for other in self._routes:
            if other.endpoint == route.endpoint:
                raise RedprintError(
                    route.place,
                    f"{self.name} has a handler {route.endpoint} already, at {other.place}; "
                    "rename one, or give it an endpoint=",
                )
        self._routes.append(route)

    def _enter_mount(self, bp: Blueprint, place: str) -> None:
        mounts = _mounts.setdefault(bp, {})
        if self.name in mounts:
            raise RedprintError(
                place, f"a Redprint {self.name} is mounted on the Blueprint {bp.name} already, at {mounts[self.name]}"
            )
        mounts[self.name] = place


def _add_to_application(state: BlueprintSetupState, *, route: Route, deprecation: Deprecation | None) -> None:
    app = cast("Flask", state.app)  # typed for Quart too
    view = build_view(route, app)
    try:
        state.add_url_rule(route.rule, route.endpoint, view, methods=list(route.methods))
    except (ValueError, LookupError) as error:  # what Werkzeug cannot read: a bracket too many, an unknown converter
        raise RedprintError(route.place, f"the rule {route.rule!r} does not work: {error}") from None
    endpoint = f"{state.name_prefix}.{state.name}.{route.endpoint}".lstrip(".")
    rule = next(app.url_map.iter_rules(endpoint))
    check_arguments(route, rule.rule, rule.arguments)
    check_key_route(route, rule.rule)
    register_route(app, endpoint, rule.rule, route, deprecation)


def _summarise(handler: Callable[..., Any]) -> str:
    """The first line of the docstring; a MethodView's own is Flask's when it has none."""
    text = vars(handler).get("__doc__") if isinstance(handler, type) else handler.__doc__
    return (text or "").strip().partition("\n")[0]
