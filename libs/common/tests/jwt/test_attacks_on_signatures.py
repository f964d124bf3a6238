"""Tokens whose signature or algorithm is not what the key asks for."""

import hashlib
import hmac
import itertools
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from common.jwt import Claims, Refusal, SigningKey, StaticKeys, TokenInvalid, TokenVerifier
from common.jwt.encoding import decode_base64url, encode_base64url
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
Accept = Callable[[str], Claims]
Refuse = Callable[[str], str]


def raw(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def numbers(signature: bytes) -> tuple[int, int]:
    return int.from_bytes(signature[:32]), int.from_bytes(signature[32:])


def signature_of(token: str) -> bytes:
    return decode_base64url(token.split(".")[2])


def public_bytes(key: SigningKey, encoding: Encoding) -> bytes:
    return key.verifying_key.public_key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)


def test_a_rightly_signed_token_is_accepted_with_either_algorithm(mint: Any, accept: Accept) -> None:
    assert accept(mint.token()).aud == "api"
    rsa_header = mint.header(alg="RS256", kid=mint.rsa_key.kid)
    assert accept(mint.token(rsa_header, key=mint.rsa_key)).scopes == {"contacts:read", "contacts:write"}


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""], ids=lambda alg: f"A1-{alg or 'empty'}")
def test_alg_none_without_signature_is_refused(mint: Any, refuse: Refuse, alg: str) -> None:
    refuse(mint.unsigned(mint.header(alg=alg)))


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""], ids=lambda alg: f"A2-{alg or 'empty'}")
def test_alg_none_with_the_old_signature_is_refused(mint: Any, refuse: Refuse, alg: str) -> None:
    refuse(mint.unsigned(mint.header(alg=alg), signature=signature_of(mint.token())))


@pytest.mark.parametrize(
    "alg",
    [
        pytest.param(None, id="A4-null"),
        pytest.param(["ES256"], id="A4-list"),
        pytest.param({"ES256": 1}, id="A4-object"),
        pytest.param(256, id="A4-number"),
        pytest.param(True, id="A4-true"),
    ],
)
def test_alg_of_another_type_is_refused(mint: Any, refuse: Refuse, alg: object) -> None:
    assert refuse(mint.token(mint.header(alg=alg))) == "header"


def test_a_header_without_alg_is_refused_a3(mint: Any, refuse: Refuse) -> None:
    assert refuse(mint.token(mint.header(alg=mint.DROP))) == "header"


@pytest.mark.parametrize("key", ["key", "rsa_key"])
@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(lambda key: public_bytes(key, Encoding.PEM), id="A5-pem"),
        pytest.param(lambda key: public_bytes(key, Encoding.PEM).strip(), id="A6-stripped-pem"),
        pytest.param(lambda key: public_bytes(key, Encoding.DER), id="A6-der"),
        pytest.param(lambda key: json.dumps(key.verifying_key.jwk()).encode(), id="A6-jwk"),
        pytest.param(lambda key: b"", id="A7-empty"),
    ],
)
def test_hs256_over_what_everybody_knows_is_refused(
    mint: Any, refuse: Refuse, key: str, secret: Callable[[SigningKey], bytes]
) -> None:
    public = getattr(mint, key)
    for alg, digest in (("HS256", hashlib.sha256), ("HS512", hashlib.sha512)):
        signing_input = mint.signing_input(mint.header(alg=alg, kid=public.kid))
        mac = hmac.digest(secret(public), signing_input.encode(), digest)
        assert refuse(f"{signing_input}.{encode_base64url(mac)}") == "algorithm"


@pytest.mark.parametrize(
    "alg",
    ["RS256", "PS256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519", "es256", "ES256 "],
    ids=lambda alg: f"A8-{alg}",
)
def test_another_algorithm_than_the_keys_own_is_refused(mint: Any, refuse: Refuse, alg: str) -> None:
    assert refuse(mint.token(mint.header(alg=alg))) == "algorithm"


@pytest.mark.parametrize("alg", ["PS256", "RS384", "RS512", "ES256"], ids=lambda alg: f"A8-rsa-{alg}")
def test_another_algorithm_than_rs256_on_an_rsa_key_is_refused(mint: Any, refuse: Refuse, alg: str) -> None:
    assert refuse(mint.token(mint.header(alg=alg, kid=mint.rsa_key.kid), key=mint.rsa_key)) == "algorithm"


@pytest.mark.parametrize(("alg", "reason"), [("PS256", "algorithm"), ("RS256", "signature")], ids=["A8-PS", "A8-RS"])
def test_a_ps256_signature_of_the_rs256_key_is_refused_under_either_name(
    mint: Any, refuse: Refuse, alg: str, reason: str
) -> None:
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    signing_input = mint.signing_input(mint.header(alg=alg, kid=mint.rsa_key.kid))
    signature = mint.rsa_key.private_key.sign(signing_input.encode(), pss, hashes.SHA256())
    assert refuse(f"{signing_input}.{encode_base64url(signature)}") == reason


def test_a_signature_with_another_hash_is_refused_a8(mint: Any, refuse: Refuse) -> None:
    signing_input = mint.signing_input(mint.header(alg="RS256", kid=mint.rsa_key.kid))
    signature = mint.rsa_key.private_key.sign(signing_input.encode(), padding.PKCS1v15(), hashes.SHA512())
    assert refuse(f"{signing_input}.{encode_base64url(signature)}") == "signature"


def test_a_token_without_its_signature_is_refused_with_and_without_the_dot_a9(mint: Any, refuse: Refuse) -> None:
    signing_input = mint.signing_input()
    assert refuse(f"{signing_input}.") == "signature"
    assert refuse(signing_input) == "encoding"


EDGES = {"0": 0, "1": 1, "n-1": P256_ORDER - 1, "n": P256_ORDER, "n+1": P256_ORDER + 1, "max": 2**256 - 1}


@pytest.mark.parametrize("r", EDGES.values(), ids=(f"A10-r={name}" for name in EDGES))
@pytest.mark.parametrize("s", EDGES.values(), ids=(f"s={name}" for name in EDGES))
def test_an_ecdsa_signature_of_edge_values_is_refused(mint: Any, refuse: Refuse, r: int, s: int) -> None:
    assert refuse(mint.unsigned(signature=raw(r, s))) == "signature"


def test_r_or_s_beyond_the_order_is_no_second_form_of_a_small_one_a10(mint: Any, refuse: Refuse) -> None:
    """A signature whose r is small enough for r + n to fit in 32 bytes is too rare to make: only s is tried."""
    signing_input = mint.signing_input()
    r, s = numbers(mint.key.sign(signing_input.encode()))
    for changed in (raw(r, 0), raw(0, s), raw(r, P256_ORDER), raw(P256_ORDER, s), raw(r, P256_ORDER - 1)):
        assert refuse(f"{signing_input}.{encode_base64url(changed)}") == "signature"


def test_a_der_encoded_ecdsa_signature_is_refused_a11(mint: Any, refuse: Refuse) -> None:
    signing_input = mint.signing_input()
    der = encode_dss_signature(*numbers(mint.key.sign(signing_input.encode())))
    assert refuse(f"{signing_input}.{encode_base64url(der)}") == "signature"


def test_a_longer_or_shorter_signature_is_refused_a11(mint: Any, refuse: Refuse) -> None:
    signing_input = mint.signing_input()
    signature = mint.key.sign(signing_input.encode())
    r, s = signature[:32], signature[32:]
    for changed in (signature[:-1], signature + b"\0", b"\0" + signature, r + b"\0" + s, signature * 2):
        assert refuse(f"{signing_input}.{encode_base64url(changed)}") == "signature"


def test_a_signature_without_the_zero_its_s_begins_with_is_refused_a11(
    mint: Any, accept: Accept, refuse: Refuse
) -> None:
    tokens = (mint.token(claims=mint.claims(jti=str(number))) for number in itertools.count())
    token = next(token for token in tokens if signature_of(token)[32] == 0)  # one in 256
    assert accept(token)
    signing_input, _, _ = token.rpartition(".")
    signature = signature_of(token)
    assert refuse(f"{signing_input}.{encode_base64url(signature[:32] + signature[33:])}") == "signature"


def test_a_token_signed_by_a_foreign_key_is_refused_a12(mint: Any, refuse: Refuse) -> None:
    assert refuse(mint.token(key=mint.foreign_key)) == "signature"
    assert refuse(mint.token(mint.header(kid=mint.foreign_key.kid), key=mint.foreign_key)) == "key"


def test_a_header_or_payload_edited_after_signing_is_refused_a13(mint: Any, refuse: Refuse) -> None:
    _, payload, signature = mint.token().split(".")
    header = mint.segment(mint.header())
    edited = mint.segment(mint.claims(scope="contacts:write admin"))
    assert refuse(f"{header}.{edited}.{signature}") == "signature"
    spelled_otherwise = mint.segment(json.dumps(mint.header(), indent=1).encode())
    assert refuse(f"{spelled_otherwise}.{payload}.{signature}") == "signature"


@pytest.mark.parametrize("segment", [0, 1, 2], ids=["A14-header", "A14-payload", "A14-signature"])
@pytest.mark.parametrize("padding", ["=", "==", "===", "===="])
def test_padding_on_a_segment_is_refused(mint: Any, refuse: Refuse, segment: int, padding: str) -> None:
    for filling in ("", "x", "xx"):  # whatever length the segment has
        segments = mint.token(claims=mint.claims(x=filling)).split(".")
        segments[segment] += padding
        assert refuse(".".join(segments)) in {"encoding", "header"}


@pytest.mark.parametrize("segment", [0, 1, 2], ids=["A15-header", "A15-payload", "A15-signature"])
def test_bits_set_in_the_unused_part_of_the_last_character_are_refused(mint: Any, refuse: Refuse, segment: int) -> None:
    for spaces in range(3):  # so that each segment ends with zero, two and four unused bits
        header, claims = (json.dumps(part).encode() + b" " * spaces for part in (mint.header(), mint.claims()))
        segments = mint.token(header, claims).split(".")
        for other in other_spellings(segments[segment]):
            assert refuse(".".join([*segments[:segment], other, *segments[segment + 1 :]])) in {"encoding", "header"}


def other_spellings(segment: str) -> list[str]:
    """Texts that a lenient decoder takes for the same bytes."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    unused = {0: 1, 2: 16, 3: 4}[len(segment) % 4]
    begin = alphabet.index(segment[-1])
    return [segment[:-1] + character for character in alphabet[begin + 1 : begin + unused]]


def second_form(token: str) -> str:
    """The token with (r, n-s) for (r, s), which verifies too."""
    signing_input, _, signature = token.rpartition(".")
    r, s = numbers(decode_base64url(signature))
    return f"{signing_input}.{encode_base64url(raw(r, P256_ORDER - s))}"


def test_a_revoked_token_is_refused_in_the_second_form_of_its_signature_too_a16(mint: Any, clock: Any) -> None:
    revoked: set[UUID] = set()
    keys = StaticKeys([mint.key.verifying_key])
    verifier = TokenVerifier(keys, "https://auth.example", frozenset({"api"}), clock, is_revoked=revoked.__contains__)
    token = mint.token()
    sid = verifier.verify(token).sid
    assert verifier.verify(second_form(token)).sid == sid  # so a list of tokens, or of their hashes, would not do
    assert sid is not None
    revoked.add(sid)
    for form in (token, second_form(token), second_form(mint.token())):
        with pytest.raises(TokenInvalid) as caught:
            verifier.verify(form)
        assert caught.value.reason is Refusal.REVOKED
