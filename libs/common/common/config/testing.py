"""Defaults under pytest: this machine only, and an issuer no network knows."""

DEFAULTS: dict[str, object] = {
    "host": "127.0.0.1",
    "graceful_timeout_seconds": 3,
    "auth_issuer": "http://auth.test",
}
