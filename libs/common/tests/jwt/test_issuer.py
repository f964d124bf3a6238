"""Issued tokens: what they say, and that others can read them."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from common.jwt import SigningKey, StaticKeys, StaticSigningKey, TokenIssuer, TokenVerifier, jwks_document
from common.jwt.encoding import decode_base64url
from joserfc import jwk
from joserfc import jwt as joserfc_jwt

ISSUER = "https://auth.example"
USER_ID = UUID("019e0000-0000-7000-8000-000000000001")
SESSION_ID = UUID("019e0000-0000-7000-8000-000000000002")


def issue(key: SigningKey, clock: Any, **changes: Any) -> str:
    said: dict[str, Any] = {
        "audience": "api",
        "scopes": {"contacts:write", "contacts:read"},
        "client_id": "redprint",
        "session_id": SESSION_ID,
        "auth_time": clock() - timedelta(hours=1),
    }
    issuer = TokenIssuer(StaticSigningKey(key), ISSUER, 600, clock)
    return issuer.issue(changes.pop("subject", USER_ID), **(said | changes))


def read(token: str, segment: int) -> dict[str, Any]:
    members: dict[str, Any] = json.loads(decode_base64url(token.split(".")[segment]))
    return members


@pytest.fixture(params=["ES256", "RS256"])
def key(request: pytest.FixtureRequest, mint: Any) -> SigningKey:
    chosen: SigningKey = mint.key if request.param == "ES256" else mint.rsa_key
    return chosen


def test_what_is_issued_verifies(key: SigningKey, clock: Any) -> None:
    verifier = TokenVerifier(StaticKeys([key.verifying_key]), ISSUER, frozenset({"api"}), clock)
    claims = verifier.verify(issue(key, clock))
    now = int(clock().timestamp())
    assert (claims.iss, claims.aud, claims.client_id) == (ISSUER, "api", "redprint")
    assert (claims.user_id, claims.sid, claims.sub) == (USER_ID, SESSION_ID, str(USER_ID))
    assert (claims.iat, claims.exp, claims.auth_time, claims.nbf) == (now, now + 600, now - 3600, None)
    assert claims.scopes == {"contacts:read", "contacts:write"}


def test_the_header_says_alg_kid_and_typ_and_nothing_more(key: SigningKey, clock: Any) -> None:
    assert read(issue(key, clock), 0) == {"alg": key.alg, "kid": key.kid, "typ": "at+jwt"}


def test_the_payload_holds_no_more_than_it_should_in_less_than_a_kilobyte(key: SigningKey, clock: Any) -> None:
    token = issue(key, clock)
    names = {"iss", "aud", "sub", "client_id", "jti", "iat", "exp", "scope", "sid", "auth_time"}
    assert read(token, 1).keys() == names
    assert len(token) < 1024


def test_each_token_is_signed_with_the_key_that_is_active_then(mint: Any, clock: Any) -> None:
    class Rotating:
        active = mint.key

        def active_signing_key(self) -> SigningKey:
            key: SigningKey = self.active
            return key

    keys = Rotating()
    issuer = TokenIssuer(keys, ISSUER, 600, clock)
    both = StaticKeys([mint.key.verifying_key, mint.rsa_key.verifying_key])
    verifier = TokenVerifier(both, ISSUER, frozenset({"api"}), clock)
    for key in (mint.key, mint.rsa_key, mint.key):
        keys.active = key
        token = issuer.issue(USER_ID, audience="api", scopes=(), client_id="redprint", session_id=SESSION_ID)
        assert read(token, 0) == {"alg": key.alg, "kid": key.kid, "typ": "at+jwt"}
        assert verifier.verify(token).user_id == USER_ID


def test_two_tokens_of_one_second_differ(key: SigningKey, clock: Any) -> None:
    first, second = (read(issue(key, clock), 1)["jti"] for _ in range(2))
    assert first != second


def test_a_service_token_has_neither_session_nor_login(mint: Any, clock: Any) -> None:
    token = issue(mint.key, clock, subject="reports", client_id="reports", session_id=None, auth_time=None)
    verifier = TokenVerifier(StaticKeys([mint.key.verifying_key]), ISSUER, frozenset({"api"}), clock)
    claims = verifier.verify(token)
    assert (claims.user_id, claims.sid, claims.auth_time) == (None, None, None)


def test_without_scopes_the_claim_is_absent(mint: Any, clock: Any) -> None:
    assert "scope" not in read(issue(mint.key, clock, scopes=()), 1)


def test_too_many_scopes_fail_the_issue_not_the_request(mint: Any, clock: Any) -> None:
    with pytest.raises(ValueError, match="1024"):
        issue(mint.key, clock, scopes=[f"resource{number}:read" for number in range(100)])


@pytest.mark.parametrize("ttl_seconds", [0, -1, 3601])
def test_a_lifetime_no_verifier_would_accept_is_refused(mint: Any, ttl_seconds: int) -> None:
    with pytest.raises(ValueError, match="3600"):
        TokenIssuer(StaticSigningKey(mint.key), ISSUER, ttl_seconds)


def test_another_library_verifies_our_token_from_the_published_set(key: SigningKey, clock: Any) -> None:
    published = jwk.KeySet.import_key_set(jwks_document([key]))  # type: ignore[arg-type] # its TypedDict is narrower
    token = joserfc_jwt.decode(issue(key, clock), published, algorithms=["ES256", "RS256"])
    assert token.header["typ"] == "at+jwt"
    assert token.claims["sub"] == str(USER_ID)


def test_we_verify_a_token_another_library_signed(mint: Any, clock: Any, verifier: TokenVerifier) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = mint.key.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    token = joserfc_jwt.encode(mint.header(), mint.claims(), jwk.ECKey.import_key(pem))
    assert verifier.verify(token).user_id == USER_ID


def test_another_library_computes_the_same_thumbprint(key: SigningKey) -> None:
    assert jwk.import_key(key.verifying_key.jwk()).thumbprint() == key.kid  # type: ignore[arg-type] # as above
