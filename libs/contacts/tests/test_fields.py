"""The limits of a contact's fields."""

from typing import Any

import pytest
from contacts import fields
from contacts.fields import FIELD_NAMES, ContactFields, make_name
from contacts.models import Contact
from pydantic import TypeAdapter, ValidationError

validate = TypeAdapter(ContactFields).validate_python


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "a@b.de"),
        ("email", "ünï+tag@sub.exämple.org"),
        ("url", "https://a"),
        ("url", "HTTP://A.b/ü?c#d"),
        ("birthday", "2000-02-29"),
        ("address", "a\r\n\tb"),
        ("name", "x" * 255),
        ("notes", "🙂" * 10_000),
        ("tags", ["x"] * 40),
        ("phone", None),
    ],
)
def test_what_is_within_the_limits_is_taken(field: str, value: Any) -> None:
    validate({field: value})


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("email", "a@b", "is not an e-mail address"),
        ("email", "a b@c.de", "is not an e-mail address"),
        ("email", "<a@b.de>", "is not an e-mail address"),
        ("email", "a@b..de", "is not an e-mail address"),
        ("email", "a@" + "b" * 250 + ".de", "at most 254 characters"),
        ("url", "javascript:alert(1)", "is not an http or https address"),
        ("url", "https://a b", "is not an http or https address"),
        ("birthday", "19700101", "is not a date written YYYY-MM-DD"),
        ("birthday", "2001-02-29", "is not a date written YYYY-MM-DD"),
        ("birthday", "2000-W01-1", "is not a date written YYYY-MM-DD"),
        ("birthday", "२०००-०१-०१", "is not a date written YYYY-MM-DD"),
        ("birthday", 0, "is not a date written YYYY-MM-DD"),
        ("birthday", "0999-12-31", "is before the year 1000"),
        ("name", "a\x00b", "holds a control character"),
        ("name", "a\x7fb", "holds a control character"),
        ("name", "x" * 256, "at most 255 characters"),
        ("name", 1, "valid string"),
        ("name", "\ud800", "unicode"),
        ("tags", [f"{n}" for n in range(51)], "at most 50 items"),
        ("tags", [" "], "at least 1 character"),
        ("tags", None, "valid list"),
        ("tags", ["x\n\x01"], "holds a control character"),
    ],
)
def test_what_is_not_is_refused_with_a_reason(field: str, value: Any, reason: str) -> None:
    with pytest.raises(ValidationError) as refused:
        validate({field: value})
    assert reason in refused.value.errors()[0]["msg"]


def test_a_long_text_that_almost_fits_a_pattern_is_refused_at_once() -> None:
    with pytest.raises(ValidationError):
        validate({"email": "a@" + "b." * 125})
    with pytest.raises(ValidationError):
        validate({"url": "https://" + "a" * 2000 + " "})


def test_a_tag_given_twice_is_kept_once() -> None:
    assert validate({"tags": ["b", "a", "b ", "A"]})["tags"] == ["b", "a", "A"]


def test_a_name_is_made_of_its_parts_where_it_is_empty() -> None:
    assert make_name("Countess", "Ada", "Lovelace") == "Countess"
    assert make_name(None, "Ada", "Lovelace") == "Ada Lovelace"
    assert make_name("", None, "Lovelace") == "Lovelace"
    assert make_name(None, None, None) is None
    longest = make_name(None, "x" * fields.PART_OF_NAME_LENGTH, "y" * fields.PART_OF_NAME_LENGTH)
    assert len(longest or "") <= fields.NAME_LENGTH


def test_every_field_is_a_column_of_the_table() -> None:
    assert set(FIELD_NAMES) <= set(Contact.__table__.columns.keys())
