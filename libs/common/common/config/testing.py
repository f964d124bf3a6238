"""Defaults under pytest: this machine only, the issuer of development, and a log that holds what went wrong."""

DEFAULTS: dict[str, object] = {
    "log_level": "warning",
    "host": "127.0.0.1",
    "graceful_timeout_seconds": 3,
    "auth_issuer": "http://127.0.0.1:8001",
}
