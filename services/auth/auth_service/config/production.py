"""Defaults in production: none of its own."""

DEFAULTS: dict[str, object] = {"service_name": "auth"}
