"""Tokens whose signature or algorithm is not what the key asks for."""

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from common.jwt import TokenVerifier
from common.jwt.encoding import decode_base64url, encode_base64url
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
Refuse = Callable[[str], str]


def raw(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def signature_of(token: str) -> bytes:
    return decode_base64url(token.split(".")[2])


def hs256(mint: Any, secret: bytes, **header: object) -> str:
    signing_input = mint.signing_input(mint.header(alg="HS256", **header))
    return f"{signing_input}.{encode_base64url(hmac.digest(secret, signing_input.encode(), hashlib.sha256))}"


def pem(mint: Any) -> bytes:
    return mint.key.verifying_key.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_a_rightly_signed_token_is_accepted_with_either_algorithm(mint: Any, verifier: TokenVerifier) -> None:
    assert verifier.verify(mint.token()).aud == "api"
    rsa_header = mint.header(alg="RS256", kid=mint.rsa_key.kid)
    assert verifier.verify(mint.token(rsa_header, key=mint.rsa_key)).scopes == {"contacts:read", "contacts:write"}


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


def test_hs256_over_the_public_key_is_refused_in_every_form_a5_a6_a7(mint: Any, refuse: Refuse) -> None:
    public_key = mint.key.verifying_key.public_key
    der = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    jwk = json.dumps(mint.key.verifying_key.jwk()).encode()
    for secret in (pem(mint), pem(mint).strip(), der, jwk, b""):
        assert refuse(hs256(mint, secret)) == "algorithm"


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES384", "ES256K", "EdDSA", "es256"], ids=lambda alg: f"A8-{alg}")
def test_another_algorithm_than_the_keys_own_is_refused(mint: Any, refuse: Refuse, alg: str) -> None:
    assert refuse(mint.token(mint.header(alg=alg))) == "algorithm"


def test_ps256_on_the_rs256_key_is_refused_under_either_name_a8(mint: Any, refuse: Refuse) -> None:
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    for alg in ("PS256", "RS256"):
        signing_input = mint.signing_input(mint.header(alg=alg, kid=mint.rsa_key.kid))
        signature = mint.rsa_key.private_key.sign(signing_input.encode(), pss, hashes.SHA256())
        refuse(f"{signing_input}.{encode_base64url(signature)}")


def test_a_token_without_its_signature_is_refused_with_and_without_the_dot_a9(mint: Any, refuse: Refuse) -> None:
    signing_input = mint.signing_input()
    assert refuse(f"{signing_input}.") == "encoding"
    assert refuse(signing_input) == "encoding"


@pytest.mark.parametrize("r", [0, 1, P256_ORDER - 1, P256_ORDER], ids=lambda r: f"A10-r{r % 7}")
@pytest.mark.parametrize("s", [0, 1, P256_ORDER - 1, P256_ORDER], ids=lambda s: f"s{s % 7}")
def test_an_ecdsa_signature_of_edge_values_is_refused(mint: Any, refuse: Refuse, r: int, s: int) -> None:
    assert refuse(mint.unsigned(signature=raw(r, s))) == "signature"


def test_a_der_encoded_ecdsa_signature_is_refused_a11(mint: Any, refuse: Refuse) -> None:
    signing_input = mint.signing_input()
    signature = mint.key.sign(signing_input.encode())
    der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    assert refuse(f"{signing_input}.{encode_base64url(der)}") == "signature"


def test_a_longer_or_shorter_signature_is_refused_a11(mint: Any, refuse: Refuse) -> None:
    signature = signature_of(mint.token())
    for changed in (signature[:-1], signature + b"\0", b"\0" + signature, signature * 2):
        assert refuse(mint.unsigned(signature=changed)) == "signature"


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


@pytest.mark.parametrize("segment", [0, 1, 2], ids=lambda index: f"A14-{index}")
def test_padding_on_a_segment_is_refused(mint: Any, refuse: Refuse, segment: int) -> None:
    segments = mint.token().split(".")
    segments[segment] += "=" * (-len(segments[segment]) % 4 or 4)
    assert refuse(".".join(segments)) == "encoding"


def test_bits_set_in_the_unused_part_of_the_last_character_are_refused_a15(mint: Any, refuse: Refuse) -> None:
    token = mint.token()  # 64 bytes end in a character with four unused bits
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert refuse(token[:-1] + alphabet[alphabet.index(token[-1]) + 1]) == "encoding"
