"""E-mail addresses: as written, for mail to be sent to, and as the key that makes an account unique."""

from dataclasses import dataclass

from common.errors import FieldError, FieldErrors
from email_validator import EmailNotValidError, validate_email

MAX_EMAIL_LENGTH = 254  # RFC 5321 section 4.5.3.1, as clarified by erratum 1690


@dataclass(frozen=True)
class Email:
    """`address` is where mail goes; `key` is equal for the spellings that reach one mailbox."""

    address: str
    key: str


def parse_email(text: str) -> Email:
    """Return the address with its key; raises FieldErrors for what is no address.

    The domain may be international (IDNA), the part before the @ is ASCII: hardly a server delivers to other
    names, and folding their case gives one key to different people (the Kelvin sign and k, dotless i and i).
    """
    try:
        # `test_environment` takes addresses below .test (RFC 6761), which nobody can own: tests and trials use them.
        found = validate_email(text, check_deliverability=False, allow_smtputf8=False, test_environment=True)
    except EmailNotValidError as error:
        raise FieldErrors([FieldError("email", "invalid-email", str(error))]) from None
    return Email(found.normalized, f"{found.local_part.lower()}@{found.ascii_domain}")
