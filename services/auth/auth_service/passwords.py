"""Which passwords are taken, and in which form they are hashed (NIST SP 800-63B-4, OWASP ASVS 5.0 V6.2)."""

import unicodedata

from common.errors import FieldError, FieldErrors

MIN_LENGTH = 15  # code points, while the password is the only factor
MAX_LENGTH = 128
PRODUCT_NAME = "redprint"
# Read in either direction; the digits as long as a password can be.
_RUNS = ("abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm", "0123456789" * 13)
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

    The product's name, the own address, repetitions and runs like abc or qwerty do not count towards the length:
    they are the first an attacker tries, and most of the common passwords that are so long consist of them.
    """
    try:
        normal = normalise_password(password)
    except ValueError as error:
        raise _refusal("invalid-characters", f"A password that {error} is not accepted.") from None
    if len(normal) < MIN_LENGTH:
        raise _refusal("too-short", f"A password has at least {MIN_LENGTH} characters; a few words do well.")
    if len(normal) > MAX_LENGTH:
        raise _refusal("too-long", f"A password has at most {MAX_LENGTH} characters.")
    if _count_unpredictable(normal, email) < MIN_LENGTH:
        raise _refusal(
            "too-predictable",
            "The product's name, your address, repetitions and runs like abc or qwerty do not count:"
            f" without them fewer than {MIN_LENGTH} characters are left.",
        )
    return normal


def _count_unpredictable(password: str, email: str) -> int:
    left = _without_context(password.casefold(), email)
    return 0 if any(left in run or left[::-1] in run for run in _RUNS) else _find_period(left)


def _find_period(text: str) -> int:
    """How long the part is that the text repeats, its whole length if it does not: 8 for passwordpassword."""
    return next((size for size in range(1, len(text) // 2 + 1) if text.startswith(text[size:])), len(text))


def _without_context(password: str, email: str) -> str:
    left = password
    local_part = email.rpartition("@")[0]
    for word in (email, local_part, PRODUCT_NAME):
        if len(word) > 2:  # letters of everyday words are no context
            left = left.replace(word.casefold(), "")
    return left


def _refusal(code: str, message: str) -> FieldErrors:
    return FieldErrors([FieldError("password", code, message)])
