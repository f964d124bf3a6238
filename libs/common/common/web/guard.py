"""Asks every request for what its route declared, before anything of the body is read."""

from typing import Protocol

import structlog
from flask import Flask, Request, current_app, g
from structlog.contextvars import bind_contextvars
from werkzeug.exceptions import Forbidden

from common.access import (
    Access,
    AccessError,
    AuthenticationRequired,
    CallingService,
    InsufficientScope,
    InvalidRequest,
    InvalidToken,
    Principal,
    RevocationUnknown,
    ServiceRequired,
    UserRequired,
)
from common.jwt import Claims, TokenInvalid, TokenRevoked
from common.metrics import count_refused_token, count_valid_token, leave_out_unknown_method
from common.redprint.registry import access_rules
from common.revocation import Revocations
from common.web.context import this_request

log = structlog.get_logger(__name__)


class Verifier(Protocol):
    """What the guard needs of `common.jwt.TokenVerifier`."""

    def verify(self, token: str) -> Claims:
        """Return the claims of a valid token; raise TokenInvalid for any other, TokenRevoked if only that is wrong."""


def install_guard(app: Flask, verifier: Verifier | None, revocations: Revocations | None) -> None:
    """Check each request against its route's access rule.

    Without a verifier only public routes answer, and without `revocations` no strict one does.
    """
    rules = access_rules(app)
    app.extensions["token_verifier"] = verifier

    @app.before_request
    def guard() -> None:
        rule = (request := this_request()).url_rule
        if rule is None:  # no route: Flask answers 404 or 405 next
            leave_out_unknown_method(request)
            return
        access = rules.get(rule.endpoint)
        if access is None:
            log.error("access_undeclared", endpoint=rule.endpoint)
            raise Forbidden("Nobody may call this.")
        if access.service_only:
            service = _calling_service(_verified(request, verifier))
            _authorize(service, access)
            g.service = service
        elif access.authenticated:
            principal = _user(_verified(request, verifier))
            if access.revocation == "strict" and not (revocations is not None and revocations.is_fresh()):
                bind_contextvars(revocation_unknown=True)
                raise RevocationUnknown
            _authorize(principal, access)
            g.principal = principal


def optional_principal(*, revoked_too: bool = False) -> Principal | None:
    """Return the caller of a public route if a token came along, None if none did.

    With `revoked_too` a token that is good but for the end of its session counts: ending that once more is no fault.
    Raises InvalidRequest, InvalidToken and UserRequired as any other route: a bad token is not the same as none.
    """
    request = this_request()
    if "HTTP_AUTHORIZATION" not in request.environ:
        return None
    return _user(_verified(request, current_app.extensions["token_verifier"], revoked_too=revoked_too))


def _verified(request: Request, verifier: Verifier | None, *, revoked_too: bool = False) -> Claims:
    """Return what the token of a request says (RFC 6750 section 2.1)."""
    try:
        claims = _verify(_bearer_token(request), verifier, revoked_too=revoked_too)
    except _Refused as refused:
        count_refused_token(refused.outcome)
        # The client never learns which check failed; the line of this request in the log says it.
        bind_contextvars(token_refused=refused.outcome)
        raise refused.answer from None
    count_valid_token()
    return claims


def _user(claims: Claims) -> Principal:
    if claims.user_id is None:
        raise UserRequired
    bind_contextvars(user_id=claims.sub)  # the same id, written already
    return Principal(claims.user_id, claims.sid, claims.client_id, claims.scopes, claims.aud, claims)


def _calling_service(claims: Claims) -> CallingService:
    if claims.user_id is not None:
        raise ServiceRequired
    bind_contextvars(client_id=claims.client_id)
    return CallingService(claims.client_id, claims.scopes, claims.aud, claims)


def _authorize(caller: Principal | CallingService, access: Access) -> None:
    if access.audience is not None and caller.audience != access.audience:
        bind_contextvars(token_refused="audience")  # noqa: S106 - a reason, no password
        raise InvalidToken
    if not access.scopes <= caller.scopes:
        raise InsufficientScope(access.scopes)


class _Refused(Exception):
    """No valid token: the outcome to count, and what the client is told."""

    def __init__(self, outcome: str, answer: AccessError) -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.answer = answer


def _bearer_token(request: Request) -> str:
    """Return the token of the one Authorization header.

    Servers join headers sent twice with a comma, which no bearer token and no Basic credentials may hold.
    """
    if request.query_string and "access_token" in request.args:
        raise _Refused("in_query", InvalidRequest("A token in the URL ends up in logs; send it as a header."))
    header: str = request.environ.get("HTTP_AUTHORIZATION", "")
    if "," in header:
        raise _Refused("several", InvalidRequest("Send one Authorization header, with one token."))
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise _Refused("missing", AuthenticationRequired())
    return token.strip(" ")


def _verify(token: str, verifier: Verifier | None, *, revoked_too: bool) -> Claims:
    if verifier is None:
        log.error("token_verifier_missing")
        raise _Refused("no_verifier", InvalidToken())
    try:
        return verifier.verify(token)
    except TokenInvalid as error:
        if revoked_too and isinstance(error, TokenRevoked):
            return error.claims
        raise _Refused(error.reason, InvalidToken()) from None
