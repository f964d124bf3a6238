"""Defaults in testing: this machine only, and a short wait at the end."""

DEFAULTS: dict[str, object] = {
    "service_name": "worker",
    "host": "127.0.0.1",
    "worker_soft_shutdown_seconds": 3,
}
