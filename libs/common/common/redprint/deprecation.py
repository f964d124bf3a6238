"""The headers of an address on its way out: Deprecation (RFC 9745), Sunset (RFC 8594) and a link to read on."""

from collections.abc import Callable
from typing import TypeVar

from werkzeug.http import http_date
from werkzeug.wrappers import Response

from common.redprint.route import Deprecation

R = TypeVar("R", bound=Response)


def deprecation_headers(deprecation: Deprecation) -> Callable[[R], R]:
    """Return the `after_request` function that adds them."""
    headers = {"Deprecation": f"@{int(deprecation.since.timestamp())}"}
    if deprecation.sunset is not None:
        headers["Sunset"] = http_date(deprecation.sunset)
    if deprecation.link is not None:
        headers["Link"] = f'<{deprecation.link}>; rel="deprecation"'

    def add(response: R) -> R:
        response.headers.update(headers)
        return response

    return add
