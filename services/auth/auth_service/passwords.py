"""Which passwords are taken, and in which form they are hashed (NIST SP 800-63B-4, OWASP ASVS 5.0 V6.2)."""

import unicodedata

from common.errors import FieldError, FieldErrors

MIN_LENGTH = 15  # code points, while the password is the only factor
MAX_LENGTH = 128
PRODUCT_NAME = "redprint"
PASSWORD_SCHEME = 1
"""Kept with each hash: 1 is NFC, then argon2id over UTF-8. Another form of the text needs another number."""


def normalise_password(password: str) -> str:
    """Return the one form that is hashed (NFC); raises ValueError for text no keyboard makes.

    Nothing is trimmed, folded or cut: two passwords that look different are different.
    """
    if "\0" in password:
        raise ValueError("holds a NUL")
    if any("\ud800" <= character <= "\udfff" for character in password):
        raise ValueError("holds half a character (a lone surrogate)")
    return unicodedata.normalize("NFC", password)


def check_new_password(password: str, email: str) -> str:
    """Return the form to hash; raises FieldErrors for a password the policy refuses.

    The product's name and the own address do not count towards the length: they are the first an attacker tries.
    """
    try:
        normal = normalise_password(password)
    except ValueError as error:
        raise _refusal("invalid-characters", f"A password that {error} is not accepted.") from None
    if len(normal) < MIN_LENGTH:
        raise _refusal("too-short", f"A password has at least {MIN_LENGTH} characters; a few words do well.")
    if len(normal) > MAX_LENGTH:
        raise _refusal("too-long", f"A password has at most {MAX_LENGTH} characters.")
    if len(_without_context(normal, email)) < MIN_LENGTH:
        raise _refusal(
            "too-predictable",
            f"Without the product's name and your address fewer than {MIN_LENGTH} characters are left.",
        )
    return normal


def _without_context(password: str, email: str) -> str:
    left = password.casefold()
    local_part = email.rpartition("@")[0]
    for word in (email, local_part, PRODUCT_NAME):
        if len(word) > 2:  # letters of everyday words are no context
            left = left.replace(word.casefold(), "")
    return left


def _refusal(code: str, message: str) -> FieldErrors:
    return FieldErrors([FieldError("password", code, message)])
