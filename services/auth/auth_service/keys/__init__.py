"""The private keys of this service: read from a directory, planned by its manifest, changed by `flask keys`."""

from auth_service.keys.directory import KeyDirectory
from auth_service.keys.errors import KeyFileError
from auth_service.keys.key_set import KeySet, read_key_set
from auth_service.keys.refresh import RefreshKey

__all__ = ["KeyDirectory", "KeyFileError", "KeySet", "RefreshKey", "read_key_set"]
