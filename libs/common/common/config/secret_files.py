"""Secrets in mounted files: the text of one, and the password of a URL that names its file."""

from pathlib import Path
from urllib.parse import quote, unquote

PARAMETER = "password_file"


class PasswordFileError(ValueError):
    """A URL's password_file cannot be used; the text says why and holds neither the URL nor a password."""


def read_secret(path: Path) -> str:
    """Return the text of a secret file. One newline at its end is an editor's, not the secret's.

    Raises OSError or UnicodeDecodeError.
    """
    return path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")


def insert_password(url: str) -> str:
    """Return the URL with the password its parameter `password_file` leads to, and without that parameter.

    `mysql+pymysql://app@db/shop?charset=utf8mb4&password_file=/run/secret` becomes
    `mysql+pymysql://app:...@db/shop?charset=utf8mb4`, percent-encoded, so whatever the password holds it ends neither
    the URL nor an entry of a comma-separated list. A URL without the parameter is returned as it is, character by
    character. A comma or an ampersand in the path is written percent-encoded. Raises PasswordFileError.
    """
    address, _, query = url.partition("?")
    parameters = query.split("&")
    files = [text for name, _, text in (each.partition("=") for each in parameters) if name == PARAMETER]
    if not files:
        return url
    if len(files) > 1:
        raise PasswordFileError(f"names more than one {PARAMETER}")
    scheme, mark, rest = address.partition("://")
    authority, slash, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    if ":" in user:
        raise PasswordFileError(f"has both a password and a {PARAMETER}; set it in one place")
    if not user:
        raise PasswordFileError(f"has a {PARAMETER} but no user whose password that is (user@host)")
    password = quote(_read_password(Path(unquote(files[0]))), safe="")
    others = "&".join(each for each in parameters if each.partition("=")[0] != PARAMETER)
    return f"{scheme}{mark}{user}:{password}{at}{host}{slash}{path}" + (f"?{others}" if others else "")


def _read_password(path: Path) -> str:
    if not path.is_absolute():  # not named here: who writes the password itself in its place would find it in the logs
        raise PasswordFileError(f"needs an absolute path as its {PARAMETER}")
    try:
        password = read_secret(path)
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a path with a zero byte
        raise PasswordFileError(f"{PARAMETER} {path} cannot be read: {type(error).__name__}") from None
    if not password:
        raise PasswordFileError(f"{PARAMETER} {path} is empty")
    return password
