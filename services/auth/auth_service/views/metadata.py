"""What clients and verifiers learn about this issuer (RFC 8414)."""

from common.web.shapes import View


class IssuerMetadata(View):
    """What is true today, and no more: members left out would mean defaults that are not."""

    issuer: str
    jwks_uri: str
    revocation_endpoint: str
    # First-party clients are public and name themselves by client_id alone.
    revocation_endpoint_auth_methods_supported: tuple[str, ...] = ("none",)
    scopes_supported: list[str]
    response_types_supported: tuple[str, ...] = ()  # required, and left out it would mean others (section 2)
    grant_types_supported: tuple[str, ...] = ()

    @classmethod
    def of(cls, issuer: str, scopes: list[str]) -> "IssuerMetadata":
        """The metadata of an issuer, whose routes are below its URL."""
        base = issuer.rstrip("/")
        return cls(
            issuer=issuer,
            jwks_uri=f"{base}/.well-known/jwks.json",
            revocation_endpoint=f"{base}/oauth/revoke",
            scopes_supported=scopes,
        )
