"""Defaults under pytest: this machine only, with the issuer of development."""

DEFAULTS: dict[str, object] = {
    "host": "127.0.0.1",
    "graceful_timeout_seconds": 3,
    "auth_issuer": "http://127.0.0.1:8001",
}
