"""The memory of verified tokens: bounded, without failures, and cheap to ask."""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from common.jwt import Refusal, SigningKey, StaticKeys, TokenInvalid, TokenVerifier, VerifyingKey, verify_access_token
from structlog.testing import capture_logs


@pytest.fixture
def signature_checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    checks: list[str] = []
    original = VerifyingKey.accepts

    def count(self: VerifyingKey, message: bytes, signature: bytes) -> bool:
        checks.append(self.kid)
        return original(self, message, signature)

    monkeypatch.setattr(VerifyingKey, "accepts", count)
    return checks


def test_a_token_seen_again_costs_no_signature_check(
    mint: Any, verifier: TokenVerifier, signature_checks: list[str]
) -> None:
    token = mint.token()
    assert verifier.verify(token) is verifier.verify(token)
    assert len(signature_checks) == 1


def test_failures_are_not_remembered(mint: Any, verifier: TokenVerifier, signature_checks: list[str]) -> None:
    token = mint.token(key=mint.foreign_key)
    for _ in range(2):
        with pytest.raises(TokenInvalid):
            verifier.verify(token)
    assert len(signature_checks) == 2
    assert not verifier._verified


def test_the_memory_is_bounded_and_forgets_what_was_not_used_for_longest(
    mint: Any, clock: Any, signature_checks: list[str]
) -> None:
    keys = StaticKeys([mint.key.verifying_key])
    verifier = TokenVerifier(keys, "https://auth.example", frozenset({"api"}), clock, max_verified_tokens=2)
    first, second, third = (mint.token(claims=mint.claims(jti=jti)) for jti in ("1", "2", "3"))
    for token in (first, second, first, third):
        verifier.verify(token)
    assert len(verifier._verified) == 2
    del signature_checks[:]
    verifier.verify(first)
    assert not signature_checks
    verifier.verify(second)
    assert len(signature_checks) == 1


def test_a_key_replaced_under_its_kid_is_asked_again(
    mint: Any, clock: Any, make_ec_key: Callable[[], SigningKey]
) -> None:
    class Replaceable(StaticKeys):
        def replace(self, kid: str, key: VerifyingKey) -> None:
            self._keys = {kid: key}

    keys = Replaceable([mint.key.verifying_key])
    verifier = TokenVerifier(keys, "https://auth.example", frozenset({"api"}), clock)
    token = mint.token()
    verifier.verify(token)
    keys.replace(mint.key.kid, make_ec_key().verifying_key)
    with pytest.raises(TokenInvalid):
        verifier.verify(token)


def test_the_token_itself_is_not_kept(mint: Any, verifier: TokenVerifier) -> None:
    token = mint.token()
    verifier.verify(token)
    assert token not in repr(verifier._verified)


def test_a_remembered_token_costs_less_than_a_tenth_of_a_new_one(mint: Any, verifier: TokenVerifier) -> None:
    tokens = [mint.token(claims=mint.claims(jti=str(number))) for number in range(100)]

    def seconds() -> float:
        begun = time.perf_counter()
        for token in tokens:
            verifier.verify(token)
        return time.perf_counter() - begun

    new = seconds()
    assert min(seconds() for _ in range(5)) < new / 10


@pytest.mark.parametrize("audiences", ["api", {"api"}, frozenset()], ids=["text", "set", "empty"])
def test_a_verifier_is_not_made_for_no_audience(mint: Any, audiences: Any) -> None:
    with pytest.raises(TypeError, match="audiences"):
        TokenVerifier(StaticKeys([]), "https://auth.example", audiences)


@pytest.mark.parametrize("audiences", ["api", ["api"], frozenset()], ids=["text", "list", "empty"])
def test_a_token_is_not_verified_for_no_audience(mint: Any, keys: StaticKeys, clock: Any, audiences: Any) -> None:
    with pytest.raises(TypeError, match="audiences"):
        verify_access_token(mint.token(), keys=keys, issuer="https://auth.example", audiences=audiences, now=clock())


def test_a_moment_without_zone_is_no_moment(mint: Any, keys: StaticKeys, clock: Any) -> None:
    with pytest.raises(ValueError, match="aware"):
        verify_access_token(
            mint.token(),
            keys=keys,
            issuer="https://auth.example",
            audiences=frozenset({"api"}),
            now=clock().replace(tzinfo=None),
        )


def test_each_use_of_a_token_asks_whether_its_session_was_revoked(mint: Any, keys: StaticKeys, clock: Any) -> None:
    revoked: set[UUID] = set()
    verifier = TokenVerifier(
        keys, "https://auth.example", frozenset({"api"}), clock, is_revoked=lambda sid: sid in revoked
    )
    token, same_session = mint.token(), mint.token(claims=mint.claims(jti="another"))
    revoked.add(verifier.verify(token).sid or UUID(int=0))
    for refused in (token, same_session, token):
        with pytest.raises(TokenInvalid) as caught:
            verifier.verify(refused)
        assert caught.value.reason is Refusal.REVOKED
    revoked.clear()  # the session's table may forget it once no token of it can be alive
    assert verifier.verify(token)


def fail(_: UUID) -> bool:
    raise RuntimeError


def test_a_token_without_session_is_not_asked_about(mint: Any, keys: StaticKeys, clock: Any) -> None:
    verifier = TokenVerifier(keys, "https://auth.example", frozenset({"api"}), clock, is_revoked=fail)
    service = mint.claims(sub="reports", client_id="reports", sid=mint.DROP)
    assert verifier.verify(mint.token(claims=service)).sid is None


def test_a_table_of_revocations_that_fails_refuses_the_token(mint: Any, keys: StaticKeys, clock: Any) -> None:
    verifier = TokenVerifier(keys, "https://auth.example", frozenset({"api"}), clock, is_revoked=fail)
    with capture_logs() as events, pytest.raises(TokenInvalid) as caught:
        verifier.verify(mint.token())
    assert caught.value.reason is Refusal.UNEXPECTED
    assert [event["event"] for event in events] == ["token_check_failed"]


def test_a_set_of_keys_loaded_again_keeps_what_was_verified(mint: Any, clock: Any, signature_checks: list[str]) -> None:
    class Reloaded(StaticKeys):
        def get(self, kid: str) -> VerifyingKey | None:
            found = super().get(kid)
            return found and VerifyingKey.of(found.public_key)

    verifier = TokenVerifier(Reloaded([mint.key.verifying_key]), "https://auth.example", frozenset({"api"}), clock)
    token = mint.token()
    assert verifier.verify(token) is verifier.verify(token)
    assert len(signature_checks) == 1
