"""Defaults on a developer's machine: readable logs, this machine only, a short wait at Ctrl-C."""

DEFAULTS: dict[str, object] = {
    "log_format": "text",
    "host": "127.0.0.1",
    "graceful_timeout_seconds": 3,
    "auth_issuer": "http://127.0.0.1:8001",
    "state_url": "redis://127.0.0.1:6379/0",
}
