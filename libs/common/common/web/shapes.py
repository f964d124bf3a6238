"""The base of all request and response shapes: what they hold in common, so that no service decides it anew."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict


class Shape(BaseModel):
    """What a client sends: unknown fields refused, no type guessed ("1" is not 1), immutable.

    Query strings hold nothing but text, so there the numbers are read from it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True)


class View(BaseModel):
    """What a client gets, read from attributes of a model or a row: `ContactView.model_validate(contact)`."""

    model_config = ConfigDict(frozen=True, from_attributes=True, extra="forbid", hide_input_in_errors=True)


def _to_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Timestamp = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""A moment as RFC 3339 with Z. Text without an offset is refused: it names no moment."""
