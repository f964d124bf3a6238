"""Identifiers of rows, requests and tokens: UUID version 7 (RFC 9562 section 5.7)."""

import re
from uuid import UUID

from uuid_utils.compat import uuid7

# `UUID()` also takes braces, "urn:uuid:" and missing hyphens; one id has one spelling here.
_CANONICAL = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


def new_id() -> UUID:
    """Return a new UUIDv7; ids of one process sort in the order of their making."""
    return uuid7()


def parse_id(text: str) -> UUID:
    """Return the id written as 8-4-4-4-12 hexadecimal digits.

    Raises ValueError for any other spelling.
    """
    if not _CANONICAL.fullmatch(text):
        raise ValueError("An id is written as 32 hexadecimal digits in groups of 8-4-4-4-12.")
    return UUID(text)
