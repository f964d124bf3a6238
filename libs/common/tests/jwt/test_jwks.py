"""The published key set: what is in it, and which sets a verifier refuses."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from common.jwt import KeyPolicyError, SigningKey, VerifyingKey, jwks_document, thumbprint
from common.jwt.encoding import encode_base64url
from common.jwt.jwks import PRIVATE_MEMBERS, parse_jwks
from common.jwt.keys import public_members
from common.jwt.roca import PRIMORIAL, has_roca_shape
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

# RFC 7638 section 3.1
RFC_KEY = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjB"
    "ZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8"
    "KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_"
    "xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}


def document(*jwks: dict[str, Any]) -> bytes:
    return json.dumps({"keys": list(jwks)}).encode()


def named_by_thumbprint(members: dict[str, str], alg: str = "RS256") -> dict[str, str]:
    return {**members, "alg": alg, "use": "sig", "kid": thumbprint(members)}


def rsa_members(modulus: int, exponent: int = 65537) -> dict[str, str]:
    def integer(value: int) -> str:
        return encode_base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))

    return {"kty": "RSA", "n": integer(modulus), "e": integer(exponent)}


def roca_modulus() -> int:
    """A modulus of 2048 bits as the faulty generator made them: a power of 65537 modulo the small primes."""
    return (1 << 2047) // PRIMORIAL * PRIMORIAL + PRIMORIAL + pow(65537, 1234, PRIMORIAL)


def test_the_thumbprint_is_the_one_of_the_rfc() -> None:
    assert thumbprint(RFC_KEY) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_a_published_set_reads_back_as_the_same_keys(mint: Any) -> None:
    published = jwks_document([mint.key, mint.rsa_key.verifying_key])
    keys = parse_jwks(json.dumps(published).encode())
    assert keys == {key.kid: key.verifying_key for key in (mint.key, mint.rsa_key)}


def test_a_published_key_has_public_members_only(mint: Any) -> None:
    ec_key, rsa_key = jwks_document([mint.key, mint.rsa_key])["keys"]
    assert set(ec_key) == {"kty", "crv", "x", "y", "alg", "use", "kid"}
    assert set(rsa_key) == {"kty", "n", "e", "alg", "use", "kid"}
    assert (ec_key["alg"], rsa_key["alg"], ec_key["use"]) == ("ES256", "RS256", "sig")


def test_a_private_member_is_never_published(mint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VerifyingKey, "jwk", lambda self: {"kty": "EC", "d": "secret"})
    with pytest.raises(KeyPolicyError, match="private"):
        jwks_document([mint.key])


def ec_jwk(mint: Any, **changes: object) -> dict[str, object]:
    return mint.key.verifying_key.jwk() | changes


def without(jwk: dict[str, Any], member: str) -> dict[str, Any]:
    return {name: value for name, value in jwk.items() if name != member}


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda mint: ec_jwk(mint, use="enc"), id="A27-use-enc"),
        pytest.param(lambda mint: without(ec_jwk(mint), "use"), id="A27-no-use"),
        pytest.param(lambda mint: ec_jwk(mint, key_ops=["sign"]), id="A27-key-ops-without-verify"),
        pytest.param(lambda mint: ec_jwk(mint, key_ops="verify"), id="A27-key-ops-no-list"),
        pytest.param(lambda mint: ec_jwk(mint, crv="P-384"), id="A27-wrong-curve"),
        pytest.param(lambda mint: ec_jwk(mint, alg="RS256"), id="A27-alg-of-another-type"),
        pytest.param(lambda mint: ec_jwk(mint, alg="HS256"), id="A27-alg-symmetric"),
        pytest.param(lambda mint: without(ec_jwk(mint), "alg"), id="A27-no-alg"),
        pytest.param(lambda mint: ec_jwk(mint, kid="my-key"), id="A27-kid-no-thumbprint"),
        pytest.param(lambda mint: without(ec_jwk(mint), "kid"), id="A27-no-kid"),
        pytest.param(lambda mint: without(ec_jwk(mint), "x"), id="A27-no-x"),
        pytest.param(lambda mint: ec_jwk(mint, x="AA=="), id="A27-padding"),
        pytest.param(lambda mint: ec_jwk(mint, x=7), id="A27-x-a-number"),
        pytest.param(lambda mint: ec_jwk(mint, y=mint.foreign_key.verifying_key.jwk()["y"]), id="A27-off-the-curve"),
        pytest.param(lambda mint: ec_jwk(mint, x="A" * 43, y="A" * 43), id="A27-point-zero"),
        pytest.param(lambda mint: ec_jwk(mint, d="AA"), id="A27-private-member"),
        pytest.param(lambda mint: ec_jwk(mint, kty="OKP"), id="A27-kty-okp"),
        pytest.param(lambda mint: ec_jwk(mint, kty=["EC"]), id="A27-kty-a-list"),
        pytest.param(lambda mint: {"kty": "oct", "k": "AAAA"}, id="A27-oct"),
        pytest.param(lambda mint: {"kty": "oct"}, id="A27-oct-without-k"),
        pytest.param(lambda mint: "key", id="A27-a-text"),
        pytest.param(lambda mint: {}, id="A27-empty"),
    ],
)
def test_one_key_against_the_policy_refuses_the_whole_set(mint: Any, make: Callable[[Any], Any]) -> None:
    good = mint.rsa_key.verifying_key.jwk()
    assert parse_jwks(document(good))
    with pytest.raises(KeyPolicyError):
        parse_jwks(document(good, make(mint)))


def test_two_keys_of_one_kid_are_refused_a27(mint: Any) -> None:
    with pytest.raises(KeyPolicyError, match="share"):
        parse_jwks(document(ec_jwk(mint), ec_jwk(mint)))


@pytest.mark.parametrize("bits", [1024, 2047, 8193], ids=lambda bits: f"A27-rsa-{bits}")
def test_an_rsa_modulus_too_short_or_too_long_is_refused(bits: int) -> None:
    with pytest.raises(KeyPolicyError):
        parse_jwks(document(named_by_thumbprint(rsa_members((1 << (bits - 1)) + 1))))


@pytest.mark.parametrize("exponent", [1, 3, 65535, 65538], ids=lambda exponent: f"A27-e-{exponent}")
def test_a_weak_rsa_exponent_is_refused(mint: Any, exponent: int) -> None:
    modulus = mint.rsa_key.private_key.public_key().public_numbers().n
    with pytest.raises(KeyPolicyError):
        parse_jwks(document(named_by_thumbprint(rsa_members(modulus, exponent))))


def test_an_rsa_modulus_of_the_faulty_generator_is_refused_a27(mint: Any) -> None:
    assert roca_modulus().bit_length() == 2048
    assert has_roca_shape(roca_modulus())
    assert not has_roca_shape(mint.rsa_key.private_key.public_key().public_numbers().n)
    with pytest.raises(KeyPolicyError, match="ROCA"):
        parse_jwks(document(named_by_thumbprint(rsa_members(roca_modulus()))))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": []}',
        b'{"keys": [], "keys": []}',
        b'{"keys": ' + b"[" * 9000 + b"]" * 9000 + b"}",
        b"\xff",
        b" " * 65537,
    ],
    ids=lambda text: repr(text[:16]),
)
def test_a_document_that_is_no_set_is_refused(text: bytes) -> None:
    with pytest.raises(KeyPolicyError):
        parse_jwks(text)


def test_more_than_16_keys_are_refused(make_ec_key: Callable[[], SigningKey]) -> None:
    jwks = [make_ec_key().verifying_key.jwk() for _ in range(17)]
    assert len(parse_jwks(document(*jwks[:16]))) == 16
    with pytest.raises(KeyPolicyError, match="16"):
        parse_jwks(document(*jwks))


def test_members_nobody_asked_for_are_ignored(mint: Any) -> None:
    assert parse_jwks(document(ec_jwk(mint, x5t="AAAA", key_ops=["verify"])))


@pytest.mark.parametrize(
    "private_key",
    [
        pytest.param(lambda: ec.generate_private_key(ec.SECP384R1()), id="P-384"),
        pytest.param(lambda: ec.generate_private_key(ec.SECP256K1()), id="secp256k1"),
        pytest.param(ed25519.Ed25519PrivateKey.generate, id="Ed25519"),
        pytest.param(lambda: rsa.generate_private_key(public_exponent=65537, key_size=1024), id="RSA-1024"),
        pytest.param(lambda: rsa.generate_private_key(public_exponent=3, key_size=2048), id="RSA-e-3"),
    ],
)
def test_a_private_key_against_the_policy_does_not_sign(private_key: Callable[[], object]) -> None:
    with pytest.raises(KeyPolicyError):
        SigningKey.of(private_key())


def test_public_members_never_hold_private_ones(mint: Any) -> None:
    for key in (mint.key, mint.rsa_key):
        assert not PRIVATE_MEMBERS & public_members(key.verifying_key.public_key).keys()


def test_keys_do_not_show_their_material(mint: Any) -> None:
    assert repr(mint.key) == f"SigningKey(verifying_key=VerifyingKey(kid={mint.key.kid!r}, alg='ES256'))"
