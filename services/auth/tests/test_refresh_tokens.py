"""The form of refresh tokens, and what it takes to make one."""

import hmac
from base64 import urlsafe_b64encode
from uuid import UUID

import pytest
from auth_service.keys import RefreshKey
from auth_service.refresh_tokens import MAX_GENERATION, RefreshToken, derive_refresh_token
from common.ids import new_id
from hypothesis import given
from hypothesis import strategies as st

KEY = RefreshKey(3, bytes(range(32)))
SALT = b"s" * 16
SESSION = UUID("01a208e7-c792-704e-920b-8dab378e351a")


def derive(key: RefreshKey = KEY, generation: int = 7) -> str:
    return derive_refresh_token(key, SESSION, generation, SALT)


def parsed(text: str) -> RefreshToken:
    token = RefreshToken.parse(text)
    assert token is not None
    return token


def test_the_text_is_what_the_module_says_it_is() -> None:
    claim = f"rt1.3.{SESSION}.7"
    mac = hmac.digest(KEY.secret, claim.encode() + b"." + SALT, "sha256")
    assert derive() == f"{claim}.{urlsafe_b64encode(mac).decode().rstrip('=')}"
    assert len(derive(generation=MAX_GENERATION)) < 120


def test_a_token_says_what_it_was_derived_from_and_is_genuine() -> None:
    token = parsed(derive())
    assert (token.key_version, token.session_id, token.generation) == (3, SESSION, 7)
    assert token.is_genuine(KEY, SALT)


def test_a_retry_derives_the_same_text_and_another_generation_another() -> None:
    assert derive() == derive()
    assert derive() != derive(generation=8)


def test_salt_key_and_every_field_count() -> None:
    token = parsed(derive())
    assert not token.is_genuine(KEY, b"t" * 16)
    assert not token.is_genuine(RefreshKey(3, b"k" * 32), SALT)
    text = derive()
    for forged in (
        text.replace("rt1.3.", "rt1.4."),
        text.replace(".7.", ".8."),
        text.replace(str(SESSION), str(new_id())),
    ):
        assert not parsed(forged).is_genuine(KEY, SALT)


def test_no_bit_of_the_mac_may_differ() -> None:
    claim, _, mac = derive().rpartition(".")
    for place in range(len(mac)):
        other = "A" if mac[place] != "A" else "B"
        changed = RefreshToken.parse(f"{claim}.{mac[:place]}{other}{mac[place + 1 :]}")
        assert changed is None or not changed.is_genuine(KEY, SALT)


def test_the_mac_does_not_show() -> None:
    assert repr(parsed(derive())) == f"RefreshToken(key_version=3, session_id={SESSION!r}, generation=7)"


MAC = "A" * 43


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rt1",
        f"rt0.3.{SESSION}.7.{MAC}",
        f"RT1.3.{SESSION}.7.{MAC}",
        f"rt1.0.{SESSION}.7.{MAC}",
        f"rt1.03.{SESSION}.7.{MAC}",
        f"rt1.10000.{SESSION}.7.{MAC}",
        f"rt1.-1.{SESSION}.7.{MAC}",
        f"rt1.\u0663.{SESSION}.7.{MAC}",
        f"rt1.3.{SESSION.hex}.7.{MAC}",
        f"rt1.3.{str(SESSION).upper()}.7.{MAC}",
        f"rt1.3.{SESSION}.07.{MAC}",
        f"rt1.3.{SESSION}.+7.{MAC}",
        f"rt1.3.{SESSION}.4294967296.{MAC}",
        f"rt1.3.{SESSION}.99999999999.{MAC}",
        f"rt1.3.{SESSION}.7.{MAC[1:]}",
        f"rt1.3.{SESSION}.7.{MAC}A",
        f"rt1.3.{SESSION}.7.{MAC[1:]}B",
        f"rt1.3.{SESSION}.7.{MAC[1:]}=",
        f"rt1.3.{SESSION}.7.{MAC[1:]}+",
        f"rt1.3.{SESSION}.7.{MAC}\n",
        f" rt1.3.{SESSION}.7.{MAC}",
        f"rt1.3.{SESSION}.7.{MAC}.",
        f"rt1.3.{SESSION}.7",
    ],
)
def test_there_is_no_second_spelling(text: str) -> None:
    assert RefreshToken.parse(text) is None


def test_the_limits_of_the_numbers_are_tokens() -> None:
    for version, generation in ((1, 0), (9999, MAX_GENERATION)):
        text = derive_refresh_token(RefreshKey(version, KEY.secret), SESSION, generation, SALT)
        assert (parsed(text).key_version, parsed(text).generation) == (version, generation)


@given(st.text() | st.from_regex(r"rt1\.[0-9]{1,5}\.[0-9a-f-]{36}\.[0-9]{1,11}\.[\w-]{43}", fullmatch=True))
def test_any_text_is_a_token_in_its_one_spelling_or_none(text: str) -> None:
    token = RefreshToken.parse(text)
    if token is not None:
        mac = urlsafe_b64encode(token.mac).decode().rstrip("=")
        assert f"rt1.{token.key_version}.{token.session_id}.{token.generation}.{mac}" == text
