"""What clients and verifiers learn about this issuer (RFC 8414)."""

from common.web.shapes import View


class IssuerMetadata(View):
    issuer: str
    jwks_uri: str
    scopes_supported: list[str]
    response_types_supported: tuple[str, ...] = ()  # required, and left out it would mean others (section 2)
    grant_types_supported: tuple[str, ...] = ()
