"""Defaults under pytest: an issuer's keys no network knows."""

DEFAULTS: dict[str, object] = {"service_name": "api", "auth_jwks_url": "http://auth.test/.well-known/jwks.json"}
