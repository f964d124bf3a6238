"""Every field of a contact with its limits: the one place for HTTP shapes, imports and column lengths."""

import re
from contextlib import suppress
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict  # pydantic does not take typing.TypedDict before Python 3.12

EXTERNAL_ID_LENGTH = 255
NAME_LENGTH = 255
PART_OF_NAME_LENGTH = 120  # a given and a family name with a space between them always fit into a name
EMAIL_LENGTH = 254  # RFC 5321 section 4.5.3.1.3, without the angle brackets
PHONE_LENGTH = 50
ORGANIZATION_LENGTH = 255
ADDRESS_LENGTH = 500
URL_LENGTH = 2048
NOTES_LENGTH = 10_000  # 40 kB of UTF-8 at most, so it fits MySQL's TEXT
TAG_LENGTH = 50
MAX_TAGS = 50
EARLIEST_YEAR = 1000  # MySQL's DATE promises nothing before it

# Tab, line feed and carriage return may stand in a text (addresses have lines); other control characters are damage.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# No quantified group can match the same text twice over, so the time stays linear in the length.
_EMAIL = re.compile(r"[^\s@<>]+@[^\s@<>.]+(?:\.[^\s@<>.]+)+")
_URL = re.compile(r"https?://\S+", re.IGNORECASE)
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _printable(text: str) -> str:
    if _CONTROL.search(text):
        raise PydanticCustomError("control-character", "holds a control character")
    return text


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise PydanticCustomError("invalid-email", "is not an e-mail address")
    return text


def _url(text: str) -> str:
    if not _URL.fullmatch(text):
        raise PydanticCustomError("invalid-url", "is not an http or https address")
    return text


def _birthday(value: object) -> date:
    day = value if isinstance(value, date) else _read_date(value)
    if day is None:
        raise PydanticCustomError("invalid-date", "is not a date written YYYY-MM-DD")
    if day.year < EARLIEST_YEAR:
        raise PydanticCustomError("invalid-date", "is before the year 1000")
    return day


def _read_date(value: object) -> date | None:
    # Pydantic alone would read 19700101 as seconds since 1970.
    if isinstance(value, str) and _ISO_DATE.fullmatch(value):
        with suppress(ValueError):  # the 30th of February
            return date.fromisoformat(value)
    return None


def _each_once(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


_PRINTABLE = AfterValidator(_printable)

ExternalID = Annotated[str, StringConstraints(max_length=EXTERNAL_ID_LENGTH), _PRINTABLE]
Name = Annotated[str, StringConstraints(max_length=NAME_LENGTH), _PRINTABLE]
PartOfName = Annotated[str, StringConstraints(max_length=PART_OF_NAME_LENGTH), _PRINTABLE]
Email = Annotated[str, StringConstraints(max_length=EMAIL_LENGTH), _PRINTABLE, AfterValidator(_email)]
Phone = Annotated[str, StringConstraints(max_length=PHONE_LENGTH), _PRINTABLE]
Organization = Annotated[str, StringConstraints(max_length=ORGANIZATION_LENGTH), _PRINTABLE]
Address = Annotated[str, StringConstraints(max_length=ADDRESS_LENGTH), _PRINTABLE]
URL = Annotated[str, StringConstraints(max_length=URL_LENGTH), _PRINTABLE, AfterValidator(_url)]
Birthday = Annotated[date, BeforeValidator(_birthday)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=TAG_LENGTH, strip_whitespace=True), _PRINTABLE]
Tags = Annotated[list[Tag], Field(max_length=MAX_TAGS), AfterValidator(_each_once)]
Notes = Annotated[str, StringConstraints(max_length=NOTES_LENGTH), _PRINTABLE]


class ContactFields(TypedDict, total=False):
    """The fields a client may set. Texts are stripped and never empty: None is the absence, [] that of tags."""

    external_id: ExternalID | None
    name: Name | None
    given_name: PartOfName | None
    family_name: PartOfName | None
    email: Email | None
    phone: Phone | None
    organization: Organization | None
    address: Address | None
    url: URL | None
    birthday: Birthday | None
    tags: Tags
    notes: Notes | None


FIELD_NAMES: tuple[str, ...] = tuple(ContactFields.__annotations__)
NAME_FIELDS = ("name", "given_name", "family_name")
NAME_MISSING = "is empty, and so are given_name and family_name it could be made of"


def make_name(name: str | None, given_name: str | None, family_name: str | None) -> str | None:
    """Return the name, or the given and family name joined where it is empty, or None where all are."""
    return name or " ".join(part for part in (given_name, family_name) if part) or None
