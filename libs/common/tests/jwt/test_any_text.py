"""Whatever the text, a verifier answers with claims that are in it and signed, or with TokenInvalid."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from common.jwt import Claims, Refusal, TokenInvalid, TokenVerifier
from common.testing.attacks import Attack, attacks
from hypothesis import Phase, given, settings

Verify = Callable[[str], Claims]

# The fixtures hold no state that a run could leave behind, and forgetting a verified token changes no answer.
ACCESS_TOKENS = {"at+jwt", "application/at+jwt"}


@settings(max_examples=300)
@given(attack=attacks)
def test_no_attack_gets_more_than_it_has_signed(
    mint: Any, verify: Verify, verifier: TokenVerifier, attack: Attack
) -> None:
    check(attack, mint, verify, verifier)


@pytest.mark.drill
@pytest.mark.timeout(300)
@settings(max_examples=10_000, phases=[Phase.generate, Phase.shrink])
@given(attack=attacks)
def test_no_attack_out_of_ten_thousand_gets_more_than_it_has_signed(
    mint: Any, verify: Verify, verifier: TokenVerifier, attack: Attack
) -> None:
    check(attack, mint, verify, verifier)


def check(attack: Attack, mint: Any, verify: Verify, verifier: TokenVerifier) -> None:
    """Both ways of verifying have to agree, also the second time; any exception but TokenInvalid fails the test."""
    token = attack.token(mint)
    outcomes = [outcome(way, token) for way in (verify, verifier.verify, verifier.verify)]
    assert outcomes[0] == outcomes[1] == outcomes[2]
    if isinstance(outcomes[0], Claims):
        assert attack.is_signed
        assert_says(token, outcomes[0], mint)


def outcome(verify: Verify, token: str) -> Claims | Refusal:
    try:
        return verify(token)
    except TokenInvalid as refused:
        assert refused.reason is not Refusal.UNEXPECTED  # noqa: PT017 - both outcomes may be right
        return refused.reason


def assert_says(token: str, claims: Claims, mint: Any) -> None:
    """Compare accepted claims with a reading of the token that shares nothing with the verifier's."""
    header, payload = (read(segment) for segment in token.split(".")[:2])
    assert header.keys() == {"alg", "kid", "typ"}
    assert (header["alg"], header["kid"]) == (mint.key.alg, mint.key.kid)
    assert header["typ"].lower() in ACCESS_TOKENS
    assert payload["iss"] == claims.iss == "https://auth.example"
    assert payload["aud"] in ("api", ["api"])
    for name in ("sub", "client_id", "jti"):
        assert payload[name] == getattr(claims, name)
    for name in ("iat", "exp"):
        assert type(payload[name]) is int
        assert payload[name] == getattr(claims, name)
    assert claims.exp + 30 > mint.now >= claims.iat - 30
    assert 0 < claims.exp - claims.iat <= 3600
    assert payload.get("nbf", mint.now) <= mint.now + 30
    assert (str(claims.sid) if claims.sid else None) == payload.get("sid")
    assert claims.scopes == frozenset(payload.get("scope", "").split())
    assert claims.user_id is None or str(claims.user_id) == payload["sub"]


def read(segment: str) -> dict[str, Any]:
    members: dict[str, Any] = json.loads(base64.urlsafe_b64decode(segment + "=="))
    return members


def test_the_attacks_reach_the_checks_beyond_the_signature(mint: Any, verify: Verify) -> None:
    """Else ten thousand of them would show nothing."""
    reached: set[str] = set()

    @settings(max_examples=1000, derandomize=True, database=None, phases=[Phase.generate])
    @given(attack=attacks)
    def collect(attack: Attack) -> None:
        found = outcome(verify, attack.token(mint))
        reached.add("accepted" if isinstance(found, Claims) else found)

    collect()
    wanted = {"accepted", "encoding", "header", "key", "signature", "payload", "claim", "type", "issuer"}
    assert wanted <= reached
    assert reached & {"time", "lifetime", "expired"}
