"""Defaults in production: none but the name."""

DEFAULTS: dict[str, object] = {"service_name": "worker"}
