"""Defaults in production: those of `base`, which are made for it."""

DEFAULTS: dict[str, object] = {}
