"""All mounted routes of an application: what the guard, the OpenAPI document and the list of permissions read."""

import re
from dataclasses import dataclass

from flask import Flask
from pydantic import BaseModel

from common.access import Access
from common.redprint.errors import RedprintError, line_of
from common.redprint.route import Deprecation, Route

_ROUTES = "redprint_routes"
_ACCESS = "redprint_access"
_PARAMETER = re.compile(r"<(?:([^<>:]+):)?[^<>:]+>")


@dataclass(frozen=True)
class RouteEntry:
    """One route at one place: `endpoint` and `rule` are whole, with the version's name and prefix."""

    endpoint: str
    rule: str
    methods: tuple[str, ...]
    access: Access
    body: type[BaseModel] | None
    body_required: bool
    query: type[BaseModel] | None
    response: type[BaseModel] | None
    status: int
    tags: tuple[str, ...]
    deprecated: bool
    deprecation: Deprecation | None
    summary: str
    idempotent: bool
    place: str


def registered_routes(app: Flask) -> list[RouteEntry]:
    """Return the routes of all Redprints, in the order of mounting; a list the caller must not change."""
    routes: list[RouteEntry] = app.extensions.setdefault(_ROUTES, [])
    return routes


def access_rules(app: Flask) -> dict[str, Access]:
    """Return the access rule of each endpoint."""
    rules: dict[str, Access] = app.extensions.setdefault(_ACCESS, {})
    return rules


def register_route(app: Flask, endpoint: str, rule: str, route: Route, deprecation: Deprecation | None) -> None:
    """Enter a mounted route."""
    access_rules(app)[endpoint] = route.access
    registered_routes(app).append(
        RouteEntry(
            endpoint=endpoint,
            rule=rule,
            methods=route.methods,
            access=route.access,
            body=route.body,
            body_required=route.body_required,
            query=route.query,
            response=route.response,
            status=route.status,
            tags=route.tags,
            deprecated=route.deprecated or deprecation is not None,
            deprecation=deprecation,
            summary=route.summary,
            idempotent=route.idempotent,
            place=route.place,
        )
    )


def check_routes(app: Flask) -> None:
    """Stop the start for a route nobody declared access for, and for one that another hides.

    Flask serves the first of two routes with one rule and method and says nothing of the second.
    Raises RedprintError with the endpoint and its line.
    """
    first: dict[tuple[str, str], str] = {}
    for rule in app.url_map.iter_rules():
        if rule.endpoint not in access_rules(app):
            place = line_of(app.view_functions[rule.endpoint])
            raise RedprintError(place, f"{rule.rule} ({rule.endpoint}) declares no access; mount it through a Redprint")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            twin = first.setdefault((_without_names(rule.rule), method), rule.endpoint)
            if twin != rule.endpoint:
                place = _place_of(app, rule.endpoint)
                raise RedprintError(place, f"{method} {rule.rule} ({rule.endpoint}) is never reached: {twin} hides it")


def _without_names(rule: str) -> str:
    """The rule with each parameter's converter alone; where none is written it is `string`."""
    return _PARAMETER.sub(lambda match: f"<{match[1] or 'string'}>", rule)


def _place_of(app: Flask, endpoint: str) -> str:
    return next(entry.place for entry in registered_routes(app) if entry.endpoint == endpoint)
