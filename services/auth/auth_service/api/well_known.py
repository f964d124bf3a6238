"""What verifiers ask at addresses that standards fix: the published keys and the issuer's metadata."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

import orjson
from common.access import public
from common.jwt import VerifyingKey, jwks_document
from common.redprint import Redprint
from flask import Blueprint, Flask, Response, current_app, request

from auth_service.keys import KeyDirectory
from auth_service.scopes import ALL_SCOPES
from auth_service.views.metadata import IssuerMetadata

# Without a max-age some verifiers keep keys for a day; this one lets a withdrawn key die in minutes.
CACHE_CONTROL = "public, max-age=300"
_NAME = "auth_issuer"

issuer = Redprint("issuer", with_prefix=False)


@dataclass(frozen=True)
class Published:
    """The keys as they are when asked for, and the document that does not change."""

    keys: Callable[[], tuple[VerifyingKey, ...]]
    metadata: IssuerMetadata


@dataclass(frozen=True)
class Document:
    """A key set, ready to send."""

    content: bytes
    etag: str


def make_blueprint() -> Blueprint:
    """Return a Blueprint with these routes."""
    blueprint = Blueprint("well_known", __name__, url_prefix="/.well-known")
    issuer.register(blueprint)
    return blueprint


def publish(app: Flask, issuer_url: str, keys: KeyDirectory) -> None:
    """Serve these keys, and the metadata that points to them, from an application.

    Raises KeyPolicyError, before anything is served, should a private member be among what they publish.
    """
    _document(keys.published_keys())
    app.extensions[_NAME] = Published(keys.published_keys, IssuerMetadata.of(issuer_url, sorted(ALL_SCOPES)))


@issuer.get("/jwks.json", access=public)
def show_keys() -> Response:
    """The public keys of access tokens (RFC 7517)."""
    document = _document(_published().keys())
    response = Response(document.content, content_type="application/json", headers={"Cache-Control": CACHE_CONTROL})
    response.set_etag(document.etag)
    response.make_conditional(request)
    return response


@issuer.get("/oauth-authorization-server", access=public, response=IssuerMetadata)
def show_metadata() -> tuple[IssuerMetadata, int, dict[str, str]]:
    """Where this issuer's keys are, and what it offers (RFC 8414)."""
    return _published().metadata, 200, {"Cache-Control": CACHE_CONTROL}


# Where many libraries look, and Istio if it is not told the address of the keys (OpenID Connect Discovery section 4).
@issuer.get("/openid-configuration", access=public, response=IssuerMetadata)
def show_metadata_again() -> tuple[IssuerMetadata, int, dict[str, str]]:
    """The same as /.well-known/oauth-authorization-server."""
    return show_metadata()


def _published() -> Published:
    published: Published = current_app.extensions[_NAME]
    return published


@lru_cache(maxsize=8)  # asked for by every verifier each minute, and new a few times a year
def _document(keys: tuple[VerifyingKey, ...]) -> Document:
    content = orjson.dumps(jwks_document(keys))
    return Document(content, sha256(content).hexdigest()[:32])
