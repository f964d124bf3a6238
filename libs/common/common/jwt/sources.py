"""Where verifiers find keys, and issuers the one to sign with: what sources promise, and those that never change."""

from collections.abc import Iterable
from typing import Protocol

from common.jwt.keys import SigningKey, VerifyingKey


class KeySource(Protocol):
    """Finds the live key of a `kid`; None means that nothing signed under that name is valid now."""

    def get(self, kid: str) -> VerifyingKey | None: ...


class SigningKeySource(Protocol):
    """Names the key to sign with at this moment; another one may be active a moment later."""

    def active_signing_key(self) -> SigningKey: ...


class StaticKeys:
    """Keys known from the start, for tests and programs that live shortly."""

    def __init__(self, keys: Iterable[VerifyingKey]) -> None:
        self._keys = {key.kid: key for key in keys}

    def get(self, kid: str) -> VerifyingKey | None:
        return self._keys.get(kid)


class StaticSigningKey:
    """One key that signs for ever."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key

    def active_signing_key(self) -> SigningKey:
        return self._key
