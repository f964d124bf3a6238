"""What can be wrong with a directory of keys."""


class KeyFileError(Exception):
    """The directory cannot be used as it is, or not be changed so; the message says what to do."""
