"""What verifiers ask at addresses that standards fix: the published keys and the issuer's metadata."""

from dataclasses import dataclass
from hashlib import sha256

import orjson
from common.access import public
from common.jwt import VerifyingKey, jwks_document
from common.redprint import Redprint
from flask import Blueprint, Flask, Response, current_app, request

from auth_service.scopes import ALL_SCOPES
from auth_service.views.metadata import IssuerMetadata

# Without a max-age some verifiers keep keys for a day; this one lets a withdrawn key die in minutes.
CACHE_CONTROL = "public, max-age=300"
_NAME = "auth_issuer"

issuer = Redprint("issuer", with_prefix=False)


@dataclass(frozen=True)
class Published:
    """The two documents, ready to send."""

    jwks: bytes
    metadata: IssuerMetadata


def make_blueprint() -> Blueprint:
    """Return a Blueprint with these routes."""
    blueprint = Blueprint("well_known", __name__, url_prefix="/.well-known")
    issuer.register(blueprint)
    return blueprint


def publish(app: Flask, issuer_url: str, keys: list[VerifyingKey]) -> None:
    """Serve these keys, and the metadata that points to them, from an application."""
    metadata = IssuerMetadata(
        issuer=issuer_url,
        jwks_uri=f"{issuer_url.rstrip('/')}/.well-known/jwks.json",
        scopes_supported=sorted(ALL_SCOPES),
    )
    app.extensions[_NAME] = Published(orjson.dumps(jwks_document(keys)), metadata)


@issuer.get("/jwks.json", access=public)
def show_keys() -> Response:
    """The public keys of access tokens (RFC 7517)."""
    jwks = _published().jwks
    response = Response(jwks, content_type="application/json", headers={"Cache-Control": CACHE_CONTROL})
    response.set_etag(sha256(jwks).hexdigest()[:32])
    response.make_conditional(request)
    return response


@issuer.get("/oauth-authorization-server", access=public, response=IssuerMetadata)
def show_metadata() -> tuple[IssuerMetadata, int, dict[str, str]]:
    """Where this issuer's keys are, and what it offers (RFC 8414)."""
    return _published().metadata, 200, {"Cache-Control": CACHE_CONTROL}


def _published() -> Published:
    published: Published = current_app.extensions[_NAME]
    return published
