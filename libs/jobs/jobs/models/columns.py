"""Column types of the job tables."""

from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Enum

JSONObject = dict[str, Any]
json_column = JSON(none_as_null=True)


def enum_column(members: type[StrEnum]) -> Enum:
    """Text of the members' values: a new member needs no migration."""
    return Enum(members, native_enum=False, length=16, values_callable=lambda each: [member.value for member in each])
