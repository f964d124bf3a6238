"""Why there is no MySQL."""


class Unavailable(Exception):
    """This way to a MySQL server is closed; the message says why in a few words."""


class NoMySQL(Exception):
    """No way led to a MySQL server; the message names each one with its reason."""
