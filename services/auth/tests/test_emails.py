"""Addresses and the keys that make accounts unique."""

import pytest
from auth_service.emails import parse_email
from common.errors import FieldErrors


@pytest.mark.parametrize(
    ("text", "address", "key"),
    [
        ("Ada@Example.COM", "Ada@example.com", "ada@example.com"),
        ("ada+tag@example.com", "ada+tag@example.com", "ada+tag@example.com"),
        ("ada@b\u00fccher.example", "ada@b\u00fccher.example", "ada@xn--bcher-kva.example"),
        ("ada@xn--bcher-kva.example", "ada@b\u00fccher.example", "ada@xn--bcher-kva.example"),
        ("ada@redprint.test", "ada@redprint.test", "ada@redprint.test"),
    ],
)
def test_the_key_is_one_for_all_spellings_of_a_mailbox(text: str, address: str, key: str) -> None:
    email = parse_email(text)
    assert (email.address, email.key) == (address, key)


@pytest.mark.parametrize(
    "text", ["ada", "ada@", "ada@localhost", "ada@[127.0.0.1]", '"a b"@example.com', " ada@example.com"]
)
def test_what_is_no_address_names_the_field(text: str) -> None:
    with pytest.raises(FieldErrors) as caught:
        parse_email(text)
    assert [(error.field, error.code) for error in caught.value.errors] == [("email", "invalid-email")]
