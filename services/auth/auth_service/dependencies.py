"""What the use cases of this service work with, made once by the application."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from common.clock import Clock
from common.db import Database
from common.jwt import TokenIssuer, TokenVerifier

from auth_service.audit import AuditTrail
from auth_service.hashing import BoundedHasher
from auth_service.keys import KeyDirectory


class Publisher(Protocol):
    """Tells every process which sessions have ended."""

    def publish(self, session_ids: Collection[UUID]) -> None:
        """Make the ended sessions known; never raises. For after the commit: before it, they might live on."""


@dataclass(frozen=True)
class Dependencies:
    database: Database
    hasher: BoundedHasher
    token_issuer: TokenIssuer
    token_verifier: TokenVerifier
    refresh_keys: KeyDirectory
    publisher: Publisher
    audit: AuditTrail
    clock: Clock
    refresh_idle_ttl: timedelta
    refresh_absolute_ttl: timedelta
    refresh_grace: timedelta
    email_verification_required: bool
