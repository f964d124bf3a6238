"""Where a verifier finds keys: what every source promises, and the source that never changes."""

from collections.abc import Iterable
from typing import Protocol

from common.jwt.keys import VerifyingKey


class KeySource(Protocol):
    """Finds the live key of a `kid`; None means that nothing signed under that name is valid now."""

    def get(self, kid: str) -> VerifyingKey | None: ...


class StaticKeys:
    """Keys known from the start: the issuer verifying its own tokens, and tests."""

    def __init__(self, keys: Iterable[VerifyingKey]) -> None:
        self._keys = {key.kid: key for key in keys}

    def get(self, kid: str) -> VerifyingKey | None:
        return self._keys.get(kid)
