"""Tokens out of their time, or with times that are none."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from common.jwt import Claims, StaticKeys, TokenExpired, TokenInvalid, TokenVerifier

Accept = Callable[[str], Claims]
Refuse = Callable[[str], str]


def test_an_expired_token_is_refused_a46(mint: Any, accept: Accept, refuse: Refuse) -> None:
    token = mint.token(claims=mint.claims(iat=mint.now - 630, exp=mint.now - 30))
    assert refuse(token) == "expired"
    with pytest.raises(TokenExpired):
        accept(token)


def test_a_token_expired_within_the_leeway_is_accepted_a46(mint: Any, accept: Accept) -> None:
    assert accept(mint.token(claims=mint.claims(iat=mint.now - 629, exp=mint.now - 29)))


@pytest.mark.parametrize("claim", ["nbf", "iat"], ids=["A47", "A48"])
def test_a_token_from_the_future_is_refused_beyond_the_leeway(
    mint: Any, accept: Accept, refuse: Refuse, claim: str
) -> None:
    assert refuse(mint.token(claims=mint.claims(**{claim: mint.now + 31}))) == "time"
    assert accept(mint.token(claims=mint.claims(**{claim: mint.now + 30})))


def test_a_lifetime_beyond_an_hour_is_refused_whatever_the_issuer_says_a49(
    mint: Any, accept: Accept, refuse: Refuse
) -> None:
    for lifetime in (3601, 10 * 365 * 24 * 3600):
        assert refuse(mint.token(claims=mint.claims(exp=mint.now + lifetime))) == "lifetime"
    assert accept(mint.token(claims=mint.claims(exp=mint.now + 3600)))


def test_expiry_before_issue_is_refused_a50(mint: Any, refuse: Refuse) -> None:
    assert refuse(mint.token(claims=mint.claims(iat=mint.now + 20, exp=mint.now + 10))) == "lifetime"
    assert refuse(mint.token(claims=mint.claims(iat=mint.now, exp=mint.now))) == "lifetime"


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat", "auth_time"])
@pytest.mark.parametrize(
    "value",
    ["1777896600", " 1777896600 ", "9_999_999_999", "١٧٧٧٨٩٦٦٠٠", True, 1777896600.5, [1777896600], None],
    ids=lambda value: f"A51-{value!r}",
)
def test_a_time_that_is_no_integer_is_refused(mint: Any, refuse: Refuse, claim: str, value: object) -> None:
    assert refuse(mint.token(claims=mint.claims(**{claim: value}))) == "claim"


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
@pytest.mark.parametrize(
    "number",
    ["NaN", "Infinity", "-Infinity", "1e400", "9" * 1500, "-1", "-0", "0", "1.0"],
    ids=lambda n: f"A52-{n[:8]}",
)
def test_a_number_that_is_no_time_is_refused(mint: Any, refuse: Refuse, claim: str, number: str) -> None:
    text = json.dumps(mint.claims(**{claim: 0})).replace(f'"{claim}": 0', f'"{claim}": {number}')
    assert refuse(mint.token(claims=text.encode())) in {"claim", "payload"}


def test_5000_digits_are_refused_a52(mint: Any, refuse: Refuse) -> None:
    assert refuse(mint.token(claims=b'{"exp": ' + b"9" * 5000 + b"}")) == "size"


def test_a_token_remembered_as_verified_is_refused_once_it_expires_a53(
    mint: Any, verifier: TokenVerifier, clock: Any
) -> None:
    token = mint.token()
    clock.advance(629)
    assert verifier.verify(token)
    clock.advance(1)
    with pytest.raises(TokenExpired):
        verifier.verify(token)


def test_a_remembered_token_is_refused_once_its_key_is_withdrawn_a53(mint: Any, clock: Any) -> None:
    class Withdrawable(StaticKeys):
        def withdraw(self) -> None:
            self._keys = {}

    keys = Withdrawable([mint.key.verifying_key])
    verifier = TokenVerifier(keys, "https://auth.example", frozenset({"api"}), clock)
    token = mint.token()
    assert verifier.verify(token)
    keys.withdraw()
    with pytest.raises(TokenInvalid) as caught:
        verifier.verify(token)
    assert caught.value.reason == "key"
