"""Whatever the text, a verifier answers with claims or TokenInvalid, and for reasons somebody thought of."""

import json
from typing import Any

import pytest
from common.jwt import Refusal, TokenInvalid, TokenVerifier
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# The fixtures hold no state that a run could leave behind.
fuzz = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

segments = st.text("ABCabc019-_", max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def refuse(verifier: TokenVerifier, text: str) -> None:
    with pytest.raises(TokenInvalid) as caught:
        verifier.verify(text)
    assert caught.value.reason is not Refusal.UNEXPECTED


@fuzz
@given(text=st.text() | st.lists(segments, max_size=5).map(".".join))
def test_any_text_is_refused(verifier: TokenVerifier, text: str) -> None:
    refuse(verifier, text)


@fuzz
@given(position=st.integers(0, 700), character=st.characters())
def test_a_token_with_one_character_changed_is_refused(
    mint: Any, verifier: TokenVerifier, position: int, character: str
) -> None:
    token = mint.token()
    position %= len(token)
    changed = token[:position] + character + token[position + 1 :]
    if changed != token:
        refuse(verifier, changed)


@fuzz
@given(payload=st.binary(max_size=200))
def test_any_signed_bytes_are_refused(mint: Any, verifier: TokenVerifier, payload: bytes) -> None:
    refuse(verifier, mint.token(claims=payload))


@fuzz
@given(header=st.binary(max_size=200) | values.map(lambda value: json.dumps(value).encode()))
def test_any_signed_header_is_refused(mint: Any, verifier: TokenVerifier, header: bytes) -> None:
    refuse(verifier, mint.token(header=header))


@fuzz
@given(
    name=st.sampled_from(["iss", "aud", "sub", "client_id", "jti", "iat", "exp", "nbf", "scope", "sid", "auth_time"]),
    value=values,
)
def test_any_value_of_a_claim_gives_claims_or_a_refusal(
    mint: Any, verifier: TokenVerifier, name: str, value: object
) -> None:
    try:
        claims = verifier.verify(mint.token(claims=mint.claims(**{name: value})))
    except TokenInvalid as refused:
        assert refused.reason is not Refusal.UNEXPECTED  # noqa: PT017 - both outcomes are right
    else:
        assert claims.aud == "api"
