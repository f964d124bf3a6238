"""The form in which passwords are hashed, and the words that do not count."""

import pytest
from auth_service.passwords import check_new_password, normalise_password
from common.errors import FieldErrors
from hypothesis import given
from hypothesis import strategies as st


def test_the_hashed_form_is_nfc_and_nothing_else_changes() -> None:
    assert normalise_password("  Cafe\u0301 \uff21 ") == "  Caf\u00e9 \uff21 "


@pytest.mark.parametrize("password", ["a\0b", "\ud800", "a\udfffb"])
def test_what_no_keyboard_makes_has_no_form(password: str) -> None:
    with pytest.raises(ValueError, match="holds"):
        normalise_password(password)


@given(st.text())
def test_the_form_of_a_form_is_itself(text: str) -> None:
    try:
        form = normalise_password(text)
    except ValueError:
        return
    assert normalise_password(form) == form


@pytest.mark.parametrize(
    "password",
    ["ada.lovelace@example.com", "Ada.Lovelace.2026", "REDPRINT redprint 123", "ada.lovelace redprint x"],
)
def test_context_words_do_not_count_towards_the_length(password: str) -> None:
    with pytest.raises(FieldErrors) as caught:
        check_new_password(password, "ada.lovelace@example.com")
    assert caught.value.errors[0].code == "too-predictable"


def test_enough_beside_context_words_is_enough() -> None:
    password = "redprint makes contacts easy"
    assert check_new_password(password, "ada@example.com") == password


def test_the_letters_of_a_short_address_are_no_context() -> None:
    assert check_new_password("a few good words", "a@example.com")


def test_lengths_count_code_points_of_the_form() -> None:
    assert check_new_password("e\u0301" * 15, "ada@example.com") == "\u00e9" * 15
    with pytest.raises(FieldErrors):
        check_new_password("e\u0301" * 14, "ada@example.com")
    assert check_new_password("\U0001f40e" * 128, "ada@example.com")
    with pytest.raises(FieldErrors):
        check_new_password("\U0001f40e" * 129, "ada@example.com")
