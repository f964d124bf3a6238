"""Takes the compact serialisation of a signed token apart (RFC 7515), before any key is touched."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from common.jwt.encoding import decode_base64url, parse_json_object
from common.jwt.errors import Refusal, TokenInvalid

MAX_TOKEN_LENGTH = 4096
_KID = re.compile(r"[A-Za-z0-9_-]{43}")  # a SHA-256 thumbprint
_TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt"})  # RFC 9068 section 4, compared without case


@dataclass(frozen=True, slots=True)
class Header:
    alg: str
    kid: str
    typ: str | None


HeaderReader: TypeAlias = Callable[[str], Header]


class CompactToken(NamedTuple):  # a frozen dataclass costs a microsecond more at each token
    header: Header
    signing_input: bytes
    payload: bytes
    signature: bytes


def check_text(token: str) -> None:
    """Raise TokenInvalid for what is too long to look at, or not even ASCII."""
    if not isinstance(token, str) or len(token) > MAX_TOKEN_LENGTH:
        raise TokenInvalid(Refusal.SIZE)
    if not token.isascii():
        raise TokenInvalid(Refusal.ENCODING)


def split_token(token: str, read_header: HeaderReader) -> CompactToken:
    """Return the parts of a token, nothing of it verified.

    Raises TokenInvalid unless it is three canonical base64url segments with a header `read_header` takes.
    """
    check_text(token)
    segments = token.split(".", 3)
    if len(segments) != 3:
        raise TokenInvalid(Refusal.ENCODING)
    header, payload, signature = segments
    try:
        return CompactToken(
            header=read_header(header),
            signing_input=token[: -len(signature) - 1].encode("ascii"),
            payload=decode_base64url(payload),
            signature=decode_base64url(signature),
        )
    except ValueError:
        raise TokenInvalid(Refusal.ENCODING) from None


def read_header(segment: str) -> Header:
    """Return a header of alg, kid and maybe typ; raises TokenInvalid for anything else.

    Every other member (crit, b64, jwk, jku, x5u, x5c, zip, cty) asks for behaviour that is not ours.
    """
    try:
        members = parse_json_object(decode_base64url(segment))
    except (ValueError, RecursionError):
        raise TokenInvalid(Refusal.HEADER) from None
    texts = {name: value for name, value in members.items() if isinstance(value, str)}
    if texts.keys() - {"typ"} != {"alg", "kid"} or len(texts) != len(members):
        raise TokenInvalid(Refusal.HEADER)
    return Header(alg=texts["alg"], kid=texts["kid"], typ=texts.get("typ"))


@lru_cache(maxsize=64)  # constant per key; failures raise and are not held
def read_access_token_header(segment: str) -> Header:
    """Return the header of an access token: all three members, the kid a thumbprint, the typ of RFC 9068."""
    header = read_header(segment)
    if not _KID.fullmatch(header.kid):
        raise TokenInvalid(Refusal.KEY)
    if header.typ is None or header.typ.lower() not in _TOKEN_TYPES:
        raise TokenInvalid(Refusal.TYPE)
    return header
