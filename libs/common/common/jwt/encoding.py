"""Strict readings of base64url and JSON, where two texts never stand for one value."""

import base64
import binascii
import json
from typing import Never

import orjson


def encode_base64url(data: bytes) -> str:
    """Return base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """Return the bytes of canonical, unpadded base64url.

    Raises ValueError for padding, a foreign alphabet, or bits set in the unused
    part of the last character: such a text would be a second spelling of the same bytes.
    """
    rest = len(text) % 4
    if text[-1:] not in _LAST_CHARACTERS[rest]:
        raise ValueError("not canonical base64url")
    return binascii.a2b_base64(text.encode("ascii").translate(_TO_BASE64) + _PADDING[rest], strict_mode=True)


# Strict decoding refuses what is foreign to plain base64, to which the two alphabets are brought; the
# characters only plain base64 has become foreign. Writing the bytes again to compare would cost twice as much.
_TO_BASE64 = bytes.maketrans(b"-_+/=", b"+/!!!")
_PADDING = (b"", b"===", b"==", b"=")
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# By the length's remainder: four characters are three bytes, so two have four unused bits, three have two, one is none.
_LAST_CHARACTERS = (
    frozenset({"", *_ALPHABET}),
    frozenset[str](),
    frozenset(_ALPHABET[::16]),
    frozenset(_ALPHABET[::4]),
)


def parse_json_object(data: bytes) -> dict[str, object]:
    """Return the members of a JSON object in UTF-8 without byte order mark.

    Raises ValueError for any other encoding or type, a member named twice (also
    by escapes) and NaN or Infinity; RecursionError for extreme nesting.
    """
    value = _parse_json(data)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _parse_json(data: bytes) -> object:
    """Parse once for speed where that is enough: what is the same when written again names no member twice.

    Tokens of our issuer are, and reading them member by member would cost three times as much.
    """
    try:
        value: object = orjson.loads(data)
        if orjson.dumps(value) == data:
            return value
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        pass  # other limits than JSON's own: the strict reading decides
    return _DECODER.decode(data.decode("utf-8"))


def _unique_members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is named twice")
    return members


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_members, parse_constant=_refuse_constant)
