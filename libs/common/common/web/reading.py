"""Reads a request into a shape, or says what is wrong with it: 400 not JSON, 413, 415, 422 with every field.

A body is parsed twice: by `json` for what pydantic lets pass (a name twice in one object, of which the last
would silently win, and NaN), then by pydantic from the same bytes. The first pass costs 3 us for a contact.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeVar, get_origin

from flask import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import RequestEntityTooLarge

from common.errors import DomainError, FieldError, FieldErrors

MAX_FIELD_ERRORS = 50  # a body of a megabyte can hold a hundred thousand unknown fields
_LISTS = (list, tuple, set, frozenset)

S = TypeVar("S", bound=BaseModel)


class MalformedJSON(DomainError):
    """The body is not one JSON text (RFC 8259) in UTF-8 with each name once."""


class NotJSON(DomainError):
    """The body is declared as something else than plain JSON."""


def body_reader(shape: type[S], *, keep: bool = False) -> Callable[[Request], S]:
    """Return the function that reads a JSON body; with `keep` the request's `get_data` gives it once more.

    It raises NotJSON, MalformedJSON, FieldErrors, and RequestEntityTooLarge past the limit.
    """
    validate = shape.__pydantic_validator__.validate_json

    def read(request: Request) -> S:
        _check_content_type(request)
        body = request.get_data(cache=keep)
        _check_length(request, body)
        _check_json(body)
        try:
            result: S = validate(body)
        except ValidationError as error:
            raise _refusal(error, "body") from None
        return result

    return read


def optional_body_reader(shape: type[S]) -> Callable[[Request], S | None]:
    """Return the function that reads a JSON body as `body_reader` does, and gives None for an empty one."""
    read = body_reader(shape)

    def read_if_any(request: Request) -> S | None:
        return read(request) if request.get_data() else None

    return read_if_any


def query_reader(shape: type[S] | None) -> Callable[[Request], S | None]:
    """Return the function that reads the query string; without a shape it takes none. It raises FieldErrors."""
    if shape is None:
        return _refuse_query
    validate = shape.__pydantic_validator__.validate_python
    repeatable = {name for name, field in shape.model_fields.items() if get_origin(field.annotation) in _LISTS}

    def read(request: Request) -> S:
        values = _collect(request, repeatable) if request.query_string else {}
        try:
            # Not strict: a query holds nothing but text, so "20" is the number.
            result: S = validate(values, strict=False)
        except ValidationError as error:
            raise _refusal(error, "query") from None
        return result

    return read


def describe_faults(faults: Iterable[ErrorDetails], whole: str) -> list[FieldError]:
    """Return pydantic's faults as field errors; one that concerns the whole has the field `whole`."""
    return [
        FieldError(
            ".".join(str(part) for part in fault["loc"]) or whole,
            fault["type"].replace("_", "-"),  # one spelling for all codes, ours and pydantic's
            fault["msg"].removeprefix("Value error, "),
        )
        for fault in faults
    ]


def _check_content_type(request: Request) -> None:
    if not request.is_json:
        raise NotJSON("The body has to be JSON, declared as Content-Type: application/json.")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise NotJSON("The body has to be sent without a Content-Encoding.")


def _check_length(request: Request, body: bytes) -> None:
    """Werkzeug refuses a declared length over the limit, and cuts a chunked body off there without a word."""
    limit = request.max_content_length
    if request.content_length is None and limit is not None and len(body) >= limit:
        raise RequestEntityTooLarge


def _check_json(body: bytes) -> None:
    try:
        _DECODER.decode(body.decode())
    except RecursionError:
        raise MalformedJSON("The body is nested too deep.") from None
    except ValueError as error:
        raise MalformedJSON(_why_not_json(error)) from None


def _why_not_json(error: ValueError) -> str:
    """Say what is wrong and where, and repeat no value."""
    match error:
        case _Refused():
            return str(error)
        case json.JSONDecodeError():
            return f"The body is not JSON: {error}."
        case UnicodeDecodeError():
            return f"The body is not UTF-8: see its byte {error.start}."
    return "The body holds a number of too many digits."  # more than Python converts


class _Refused(ValueError):
    """Valid for Python's parser, not for us; the text is for the client."""


def _refuse_repeated_names(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        repeated = next(name for name, count in Counter(names).items() if count > 1)
        raise _Refused(f"The body holds an object with the name {repeated[:100]!a} twice.")


def _refuse_constant(name: str) -> NoReturn:
    raise _Refused(f"The body holds {name}, which is not JSON.")


_DECODER = json.JSONDecoder(object_pairs_hook=_refuse_repeated_names, parse_constant=_refuse_constant)


def _refusal(error: ValidationError, whole: str) -> DomainError:
    faults = error.errors(include_url=False, include_context=False, include_input=False)[:MAX_FIELD_ERRORS]
    if faults[0]["type"] == "json_invalid":  # a lone surrogate, say: Python's parser lets it pass
        return MalformedJSON(f"The body is not JSON: {faults[0]['msg'].removeprefix('Invalid JSON: ')}.")
    return FieldErrors(describe_faults(faults, whole))


def _refuse_query(request: Request) -> None:
    if request.query_string:
        raise FieldErrors(
            FieldError(name, "extra-forbidden", "This address takes no query.")
            for name in list(request.args)[:MAX_FIELD_ERRORS]
        )


def _collect(request: Request, repeatable: set[str]) -> dict[str, Any]:
    values = request.args.to_dict(flat=False)
    repeated = [name for name, texts in values.items() if len(texts) > 1 and name not in repeatable]
    if repeated:
        raise FieldErrors(FieldError(name, "repeated", "This may be given once.") for name in repeated)
    return {name: texts if name in repeatable else texts[0] for name, texts in values.items()}
