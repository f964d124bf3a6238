"""What a refresh token proves, before anything is locked or changed.

Forged texts end here: they cost one read at most, and can neither end a session nor hold up its owner.
"""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, select

from auth_service.dependencies import Dependencies
from auth_service.errors import InvalidGrant
from auth_service.models import Session
from auth_service.refresh_tokens import RefreshToken

# Nothing of this ever changes, so it may be read outside of the transaction that relies on it.
_FIND_SESSION = select(
    Session.user_id,
    Session.client_id,
    Session.audience,
    Session.auth_time,
    Session.absolute_expires_at,
    Session.salt,
).where(Session.id == bindparam("session_id"))


@dataclass(frozen=True)
class SessionProof:
    """A session, living or not, and the generation of the genuine token presented for it, the current one or not."""

    session_id: UUID
    generation: int
    user_id: UUID
    client_id: str
    audience: str
    auth_time: datetime
    absolute_expires_at: datetime
    salt: bytes = field(repr=False)


def read_proof(deps: Dependencies, refresh_token: str) -> SessionProof | None:
    """Return what a token proves, None if it is none of ours."""
    token = RefreshToken.parse(refresh_token)
    key = None if token is None else deps.refresh_keys.find_refresh_key(token.key_version)
    if token is None or key is None:
        return None
    with deps.database.read() as session:
        found = session.execute(_FIND_SESSION, {"session_id": token.session_id}).one_or_none()
    if found is None or found.salt is None or not token.is_genuine(key, found.salt):
        return None
    return SessionProof(
        session_id=token.session_id,
        generation=token.generation,
        user_id=found.user_id,
        client_id=found.client_id,
        audience=found.audience,
        auth_time=found.auth_time,
        absolute_expires_at=found.absolute_expires_at,
        salt=found.salt,
    )


def prove_session(deps: Dependencies, refresh_token: str, client_id: str) -> SessionProof:
    """Return what a token proves for the client it was issued to. Raises InvalidGrant for any other."""
    proof = read_proof(deps, refresh_token)
    if proof is None or proof.client_id != client_id:
        raise InvalidGrant
    return proof
