"""Revoking a token that a client hands over (RFC 7009): the session behind it ends, and with it all its tokens."""

from common.jwt import TokenInvalid

from auth_service.audit import TOKEN_REVOKED, Event
from auth_service.client import Client
from auth_service.dependencies import Dependencies
from auth_service.errors import InvalidGrant
from auth_service.models.session import REVOKED
from auth_service.use_cases.endings import Ending, end_and_publish
from auth_service.use_cases.proofs import read_proof


def revoke_token(deps: Dependencies, client: Client, *, token: str, client_id: str) -> None:
    """End the session of a refresh or access token that was issued to this client.

    What is no valid token is revoked already (section 2.2). Raises InvalidGrant for a token of another client.
    """
    ending = _ending_of_refresh_token(deps, token) or _ending_of_access_token(deps, token)
    if ending is None:
        return
    if ending.client_id != client_id:
        raise InvalidGrant
    revoked = Event(TOKEN_REVOKED, ending.user_id, ending.session_id, client_id=client_id, jti=ending.jti)
    end_and_publish(deps, client, ending, revoked)


def _ending_of_refresh_token(deps: Dependencies, token: str) -> Ending | None:
    proof = read_proof(deps, token)
    if proof is None:
        return None
    return Ending(proof.session_id, proof.user_id, REVOKED, client_id=proof.client_id)


def _ending_of_access_token(deps: Dependencies, token: str) -> Ending | None:
    try:
        claims = deps.token_verifier.verify(token)
    except TokenInvalid:
        return None
    if claims.sid is None or claims.user_id is None:
        return None  # a service's own: it belongs to no session and ends with its minutes
    return Ending(claims.sid, claims.user_id, REVOKED, client_id=claims.client_id, jti=claims.jti)
