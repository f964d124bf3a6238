"""Defaults in staging: none of its own, so that it is production in everything nobody sets."""

DEFAULTS: dict[str, object] = {}
