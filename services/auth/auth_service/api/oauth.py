"""OAuth's own endpoints, so far the one that revokes a token (RFC 7009): forms in, and RFC 6749's errors out."""

import orjson
from common.access import public
from common.redprint import Redprint
from common.web.context import this_request
from flask import Blueprint, Response

from auth_service import use_cases
from auth_service.api.client import current_client
from auth_service.api.dependencies import current_dependencies
from auth_service.api.forms import MalformedForm, read_form
from auth_service.errors import InvalidGrant
from auth_service.scopes import FIRST_PARTY_CLIENT

# Far above a token of 4 kB, the longest that is looked at.
MAX_FORM_BYTES = 16 * 1024

oauth = Redprint("oauth")


def make_blueprint() -> Blueprint:
    """Return a Blueprint with these routes; they have no version, the standard fixes them."""
    blueprint = Blueprint("standard", __name__)
    oauth.register(blueprint)
    return blueprint


@oauth.post("/revoke", access=public, max_body_bytes=MAX_FORM_BYTES)
def revoke() -> Response:
    """End the session behind a refresh or access token; 200 also for what is no token, or not any more.

    `token_type_hint` is not needed: the two kinds look different.
    """
    try:
        form = read_form(this_request())
    except MalformedForm as error:
        return _refuse("invalid_request", str(error))
    if "Authorization" in this_request().headers or form.get("client_id") != FIRST_PARTY_CLIENT:
        return _refuse("invalid_client", "The client is unknown, or not a public one that names itself in client_id.")
    if "token" not in form:
        return _refuse("invalid_request", "The parameter token is missing.")
    try:
        use_cases.revocation.revoke_token(
            current_dependencies(), current_client(), token=form["token"], client_id=FIRST_PARTY_CLIENT
        )
    except InvalidGrant:
        return _refuse("invalid_grant", "The token was issued to another client.")
    return Response(status=200)


def _refuse(error: str, description: str) -> Response:
    """An error as RFC 6749 section 5.2 has it."""
    is_unknown = error == "invalid_client"
    response = Response(
        orjson.dumps({"error": error, "error_description": description}),
        401 if is_unknown else 400,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
    if is_unknown:
        response.headers["WWW-Authenticate"] = 'Basic realm="redprint"'
    return response
