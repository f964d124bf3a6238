"""Fixtures that sign access tokens, loaded with those of `common.testing.plugin`."""

from collections.abc import Collection
from typing import Protocol
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from common.clock import utc_now
from common.ids import new_id
from common.jwt import SigningKey, StaticSigningKey, TokenIssuer

TEST_ISSUER = "http://127.0.0.1:8001"
DEFAULT_SCOPES = ("contacts:read", "contacts:write", "jobs:read", "jobs:write")


class TokenFor(Protocol):
    """Signs a token of a user; `ttl_seconds` from now."""

    def __call__(
        self,
        user_id: UUID,
        scopes: Collection[str] = DEFAULT_SCOPES,
        audience: str = "api",
        issuer: str = TEST_ISSUER,
        ttl_seconds: int = 600,
    ) -> str: ...


@pytest.fixture(scope="session")
def signing_key() -> SigningKey:
    """An ES256 key of this run; give its public half to verifiers with `StaticKeys`."""
    return SigningKey.of(ec.generate_private_key(ec.SECP256R1()))


@pytest.fixture(scope="session")
def token_for(signing_key: SigningKey) -> TokenFor:
    """Tokens as auth issues them for its own users, signed with `signing_key`."""

    def sign(
        user_id: UUID,
        scopes: Collection[str] = DEFAULT_SCOPES,
        audience: str = "api",
        issuer: str = TEST_ISSUER,
        ttl_seconds: int = 600,
    ) -> str:
        return TokenIssuer(StaticSigningKey(signing_key), issuer, ttl_seconds).issue(
            user_id,
            audience=audience,
            scopes=scopes,
            client_id="redprint",
            session_id=new_id(),
            auth_time=utc_now(),
        )

    return sign
