"""Loads the repository's fixtures: here, because an installed plugin is imported before coverage starts."""

pytest_plugins = [
    "common.testing.plugin",
    "common.testing.tokens",
    "common.testing.valkey",
    "common.testing.figures",
]
