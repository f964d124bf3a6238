"""The inner step of verification: compact form and keys in, signed bytes out.

Not exported from `common.jwt`: a signature says who wrote the bytes, and nothing about what they are good for.
"""

from typing import NamedTuple

from common.jwt.compact import Header, HeaderReader, read_header, split_token
from common.jwt.errors import Refusal, TokenInvalid
from common.jwt.keys import VerifyingKey
from common.jwt.sources import KeySource


class Signed(NamedTuple):
    header: Header
    payload: bytes
    key: VerifyingKey


def verify_signature(token: str, keys: KeySource, read_header: HeaderReader = read_header) -> Signed:
    """Return what the key named in the header has signed, with the algorithm that key is for (RFC 8725 section 3.1).

    Raises TokenInvalid for every other text.
    """
    parts = split_token(token, read_header)
    key = _find_key(parts.header, keys)
    if not key.accepts(parts.signing_input, parts.signature):
        raise TokenInvalid(Refusal.SIGNATURE)
    return Signed(parts.header, parts.payload, key)


def _find_key(header: Header, keys: KeySource) -> VerifyingKey:
    key = keys.get(header.kid)
    if key is None:
        raise TokenInvalid(Refusal.KEY)
    if key.alg != header.alg:
        raise TokenInvalid(Refusal.ALGORITHM)
    return key
