"""The form of refresh tokens."""

from auth_service.refresh_tokens import RefreshToken
from common.ids import new_id
from hypothesis import given
from hypothesis import strategies as st


def test_a_token_reads_back_as_itself() -> None:
    token = RefreshToken.new(new_id())
    assert RefreshToken.parse(str(token)) == token
    assert len(str(token)) == 68
    assert len(token.digest) == 32


def test_two_tokens_of_a_session_differ() -> None:
    session_id = new_id()
    assert RefreshToken.new(session_id) != RefreshToken.new(session_id)


def test_the_secret_does_not_show() -> None:
    token = RefreshToken.new(new_id())
    assert repr(token) == f"RefreshToken(session_id={token.session_id})"


@given(st.text() | st.text("rt0.AZaz09-_", min_size=60, max_size=70))
def test_any_text_is_a_token_that_writes_back_or_none(text: str) -> None:
    token = RefreshToken.parse(text)
    assert token is None or str(token) == text
