"""Accounts and sessions: register, log in, refresh, log out."""

from common.access import AuthenticationRequired, InvalidToken, current_principal, public, user
from common.redprint import Redprint
from common.web.guard import optional_principal

from auth_service import use_cases
from auth_service.api.client import current_client
from auth_service.api.dependencies import current_dependencies
from auth_service.caller import Caller
from auth_service.scopes import DEFAULT_AUDIENCE
from auth_service.views.auth import Accepted, Login, Logout, Refresh, Registration, TokenPairView

auth = Redprint("auth")


@auth.post("/register", access=public, body=Registration, response=Accepted, status=202)
def register(body: Registration) -> Accepted:
    """Make an account; the answer is the same for an address that has one."""
    use_cases.auth.register(
        current_dependencies(), current_client(), email=body.email, password=body.password, name=body.name
    )
    return Accepted()


@auth.post("/login", access=public, body=Login, response=TokenPairView)
def log_in(body: Login) -> TokenPairView:
    """Open a session with address and password."""
    tokens = use_cases.auth.log_in(
        current_dependencies(),
        current_client(),
        email=body.email,
        password=body.password,
        audience=body.resource or DEFAULT_AUDIENCE,
    )
    return TokenPairView.model_validate(tokens)


@auth.post("/refresh", access=public, body=Refresh, response=TokenPairView)
def refresh(body: Refresh) -> TokenPairView:
    """Exchange a refresh token for new tokens. It works once; repeated right away it gives the same successor."""
    tokens = use_cases.refresh.refresh(
        current_dependencies(), current_client(), refresh_token=body.refresh_token, audience=body.resource
    )
    return TokenPairView.model_validate(tokens)


@auth.post("/logout", access=public, body=Logout, body_required=False, status=204)
def log_out(body: Logout | None) -> None:
    """End the session behind the refresh token of the body or, without one, behind the bearer token."""
    deps, client = current_dependencies(), current_client()
    if body is not None and body.refresh_token is not None:
        use_cases.sessions.log_out_with_refresh_token(deps, client, body.refresh_token)
        return
    principal = optional_principal(revoked_too=True)
    if principal is None:
        raise AuthenticationRequired
    if principal.session_id is None:
        raise InvalidToken  # nothing of ours: it names no session that could end
    use_cases.sessions.log_out(
        deps,
        client,
        user_id=principal.user_id,
        session_id=principal.session_id,
        client_id=principal.client_id,
        jti=principal.claims.jti,
    )


# Not strict: this is what people need just when something is wrong.
@auth.post("/logout-all", access=user, status=204)
def log_out_everywhere() -> None:
    """End all sessions of the caller, this one too."""
    use_cases.everywhere.log_out_everywhere(current_dependencies(), current_client(), Caller.of(current_principal()))
