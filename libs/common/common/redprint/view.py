"""Stands between Flask and a handler: reads the declared body and query, writes what the handler returns.

Everything that can be decided once is decided when a route is mounted. Bodies and answers pass through
pydantic's own parser and serialiser as bytes; nothing builds a dict in between.
"""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Request, Response
from flask.views import MethodView
from pydantic import BaseModel
from werkzeug.wrappers import Response as WerkzeugResponse

from common.redprint.route import Handler, Route
from common.web.context import this_request
from common.web.idempotency import taking_keys
from common.web.reading import body_reader, optional_body_reader, query_reader

View = Callable[..., WerkzeugResponse]
JSON = "application/json"


def build_view(route: Route, app: Flask) -> View:
    """Return the view function of a route in one application."""
    handler = _as_function(route.handler)
    read_arguments = _argument_reader(route, app)
    respond = _responder(route)

    def view(**arguments: Any) -> WerkzeugResponse:
        read_arguments(arguments)
        return respond(handler(**arguments))

    return taking_keys(view, route.endpoint, respond, has_body=route.body is not None) if route.idempotent else view


def _as_function(handler: Handler) -> Handler:
    if isinstance(handler, type) and issubclass(handler, MethodView):
        return handler.as_view(handler.__name__)
    return handler


def _argument_reader(route: Route, app: Flask) -> Callable[[dict[str, Any]], None]:
    """Return the function that adds `query` and `body` to a handler's arguments."""
    read_query = query_reader(route.query)
    read_body = None if route.body is None else _body_reader(route, route.body)
    methods_with_body = route.methods_with_body
    limit = route.max_body_bytes(app) if callable(route.max_body_bytes) else route.max_body_bytes

    def read(arguments: dict[str, Any]) -> None:
        request = this_request()
        query = read_query(request)
        if query is not None:
            arguments["query"] = query
        if limit is not None:
            request.max_content_length = limit
        if read_body is not None and request.method in methods_with_body:
            arguments["body"] = read_body(request)

    return read


def _body_reader(route: Route, shape: type[BaseModel]) -> Callable[[Request], BaseModel | None]:
    if not route.body_required:
        return optional_body_reader(shape)
    # Two requests with one key are the same if their bodies are, so it is needed once more.
    return body_reader(shape, keep=route.idempotent)


def _responder(route: Route) -> Callable[[Any], WerkzeugResponse]:
    """Return the function that turns what the handler returned into a response.

    That is an instance of `response`, None for an empty body, either of them in a tuple with a status and headers,
    or a ready response.
    """
    shape, status = route.response, route.status
    # Success without a word is 204, unless the route has another one: 202 promises something for later.
    empty_status = 204 if status == 200 else status

    def respond(result: Any) -> WerkzeugResponse:
        if isinstance(result, WerkzeugResponse):
            return result
        if shape is not None and isinstance(result, shape):
            return _write(result, status)
        if result is None:
            return _write_nothing(empty_status)
        if isinstance(result, tuple):
            return _respond_tuple(*result)
        raise _unexpected(result)

    def _respond_tuple(result: Any, own_status: int, headers: Mapping[str, str] | None = None) -> WerkzeugResponse:
        response = respond(result)
        response.status_code = own_status
        response.headers.update(headers or {})
        return response

    def _unexpected(result: Any) -> TypeError:
        declared = "nothing" if shape is None else shape.__name__
        return TypeError(f"{route.endpoint} at {route.place} returned {type(result).__name__}; it declares {declared}")

    return respond


def _write(result: BaseModel, status: int) -> Response:
    return Response(result.__pydantic_serializer__.to_json(result), status, content_type=JSON)


def _write_nothing(status: int) -> Response:
    response = Response(status=status)
    del response.headers["Content-Type"]
    return response
