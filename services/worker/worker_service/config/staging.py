"""Defaults in staging: none but the name."""

DEFAULTS: dict[str, object] = {"service_name": "worker"}
