"""`python -m auth_service.keys`: the same as `flask keys`, which is there only where the package is installed."""

from auth_service.keys.cli import keys

keys()
