"""Takes the compact serialisation of an access token apart (RFC 7515), before any key is touched."""

import re
from dataclasses import dataclass
from functools import lru_cache

from common.jwt.encoding import decode_base64url, parse_json_object
from common.jwt.errors import Refusal, TokenInvalid

MAX_TOKEN_LENGTH = 4096
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_KID = re.compile(r"[A-Za-z0-9_-]{43}")  # a SHA-256 thumbprint
# Everything else (crit, b64, jwk, jku, x5u, x5c, zip, cty) asks for behaviour that is not ours.
_HEADER_MEMBERS = frozenset({"alg", "kid", "typ"})


@dataclass(frozen=True, slots=True)
class Header:
    alg: str
    kid: str
    typ: str


@dataclass(frozen=True, slots=True)
class CompactToken:
    header: Header
    signing_input: bytes
    payload: bytes
    signature: bytes


def split_token(token: str) -> CompactToken:
    """Return the parts of a token, nothing of it verified.

    Raises TokenInvalid unless it is three canonical base64url segments with a header of exactly alg, kid and typ.
    """
    match = _COMPACT.fullmatch(token)
    if match is None:
        raise TokenInvalid(Refusal.ENCODING)
    header, payload, signature = match.groups()
    return CompactToken(
        header=read_header(header),
        signing_input=token[: match.end(2)].encode("ascii"),
        payload=_decode(payload),
        signature=_decode(signature),
    )


@lru_cache(maxsize=64)  # constant per key; failures raise and are not held
def read_header(segment: str) -> Header:
    try:
        members = parse_json_object(decode_base64url(segment))
    except (ValueError, RecursionError):
        raise TokenInvalid(Refusal.HEADER) from None
    if members.keys() != _HEADER_MEMBERS or not all(isinstance(value, str) for value in members.values()):
        raise TokenInvalid(Refusal.HEADER)
    header = Header(alg=str(members["alg"]), kid=str(members["kid"]), typ=str(members["typ"]))
    if not _KID.fullmatch(header.kid):
        raise TokenInvalid(Refusal.KEY)
    return header


def _decode(segment: str) -> bytes:
    try:
        return decode_base64url(segment)
    except ValueError:
        raise TokenInvalid(Refusal.ENCODING) from None
