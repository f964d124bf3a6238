"""Strict readings of base64url and JSON, where two texts never stand for one value."""

import base64
import json
from typing import Never


def encode_base64url(data: bytes) -> str:
    """Return base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """Return the bytes of canonical, unpadded base64url.

    Raises ValueError for padding, a foreign alphabet, or bits set in the unused
    part of the last character: such a text would be a second spelling of the same bytes.
    """
    data = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    if encode_base64url(data) != text:
        raise ValueError("not canonical base64url")
    return data


def parse_json_object(data: bytes) -> dict[str, object]:
    """Return the members of a JSON object in UTF-8 without byte order mark.

    Raises ValueError for any other encoding or type, a member named twice (also
    by escapes) and NaN or Infinity; RecursionError for extreme nesting.
    """
    value = _DECODER.decode(data.decode("utf-8"))
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _unique_members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is named twice")
    return members


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_members, parse_constant=_refuse_constant)
