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


@pytest.mark.parametrize(
    "password",
    [
        "x" * 128,
        " " * 15,
        "passwordpassword",
        "PasswordpasswordPASS",
        "123456789012345",
        "12345678901234567890",
        "987654321098765432109",
        "abcdefghijklmnop",
        "qwertyuiopasdfgh",
        "zyxwvutsrqponmlk",
        "correct horse correct horse ",
    ],
)
def test_a_pattern_that_goes_on_does_not_make_a_password_longer(password: str) -> None:
    with pytest.raises(FieldErrors) as caught:
        check_new_password(password, "ada@example.com")
    assert caught.value.errors[0].code == "too-predictable"


@pytest.mark.parametrize(
    "password",
    ["ends as it began", "a long word and a long word", "correct horse 1correct horse 1", "abcdefghijklmno-"],
)
def test_what_only_looks_like_a_pattern_is_taken(password: str) -> None:
    assert check_new_password(password, "ada@example.com") == password


def test_enough_beside_context_words_is_enough() -> None:
    password = "redprint makes contacts easy"
    assert check_new_password(password, "ada@example.com") == password


def test_the_letters_of_a_short_address_are_no_context() -> None:
    assert check_new_password("a few good words", "a@example.com")


def test_lengths_count_code_points_of_the_form() -> None:
    assert check_new_password("e\u0301 ab cd ef gh ij", "ada@example.com") == "\u00e9 ab cd ef gh ij"
    assert check_new_password("".join(map(chr, range(0x1F400, 0x1F40F))), "ada@example.com")
    with pytest.raises(FieldErrors) as caught:
        check_new_password("e\u0301 ab cd ef gh", "ada@example.com")  # 14, of 15 code points as typed
    assert caught.value.errors[0].code == "too-short"
    assert check_new_password("".join(map(chr, range(0x1F400, 0x1F480))), "ada@example.com")
    with pytest.raises(FieldErrors) as caught:
        check_new_password("".join(map(chr, range(0x1F400, 0x1F481))), "ada@example.com")
    assert caught.value.errors[0].code == "too-long"
