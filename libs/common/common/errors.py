"""The roots of all domain exceptions. Which status each becomes is said in `common.problems`."""

from collections.abc import Iterable
from dataclasses import dataclass


class DomainError(Exception):
    """A rule of the domain said no.

    Its text is read by clients, so it holds nothing they may not know. A subclass carries what the
    edge needs as attributes: `retry_after_seconds` becomes the Retry-After header.
    """


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field of a request: `field` as a dotted path, `code` stable, `message` for people."""

    field: str
    code: str
    message: str


class FieldErrors(DomainError):
    """Some fields of a request are not acceptable: 422 with one entry per field."""

    def __init__(self, errors: Iterable[FieldError]) -> None:
        self.errors = list(errors)
        super().__init__("Some fields are not acceptable; see errors.")
