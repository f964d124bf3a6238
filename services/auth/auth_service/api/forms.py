"""Reads the forms of OAuth's endpoints (RFC 6749 appendix B); everything else here is JSON."""

from urllib.parse import parse_qsl

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

_MAX_PARAMETERS = 20


class MalformedForm(Exception):
    """The body is not such a form; the text says why, for the client."""


def read_form(request: Request) -> dict[str, str]:
    """Return the parameters; one without a value counts as left out (RFC 6749 section 3.2).

    Raises MalformedForm, also for a parameter given twice, and RequestEntityTooLarge past the limit of the route.
    """
    if request.mimetype != "application/x-www-form-urlencoded":
        raise MalformedForm("The body has to be declared as application/x-www-form-urlencoded.")
    pairs = _parse(_read_body(request))
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise MalformedForm("A parameter was given twice.")
    return {name: value for name, value in pairs if value}


def _read_body(request: Request) -> bytes:
    body = request.get_data(cache=False)
    limit = request.max_content_length
    # Werkzeug refuses a declared length over the limit, and cuts a chunked body off there without a word.
    if request.content_length is None and limit is not None and len(body) >= limit:
        raise RequestEntityTooLarge
    return body


def _parse(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS)
    except ValueError:  # not ASCII, not UTF-8 once decoded, or too many
        raise MalformedForm("The body is not a form in percent-encoded UTF-8.") from None
