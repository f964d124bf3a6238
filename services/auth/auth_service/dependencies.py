"""What the use cases of this service work with, made once by the application."""

from dataclasses import dataclass
from datetime import timedelta

from common.clock import Clock
from common.db import Database
from common.jwt import TokenIssuer

from auth_service.hashing import BoundedHasher


@dataclass(frozen=True)
class Dependencies:
    database: Database
    hasher: BoundedHasher
    token_issuer: TokenIssuer
    clock: Clock
    refresh_idle_ttl: timedelta
    refresh_absolute_ttl: timedelta
    email_verification_required: bool
