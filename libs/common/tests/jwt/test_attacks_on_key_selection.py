"""Tokens that try to choose, name or bring the key they are verified with."""

import base64
import socket
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from common.jwt import KeyPolicyError, SigningKey, StaticKeys, TokenInvalid, TokenVerifier, VerifyingKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import CertificateBuilder, Name, NameAttribute
from cryptography.x509.oid import NameOID

Refuse = Callable[[str], str]


def test_a_header_without_kid_is_refused_a17(mint: Any, refuse: Refuse) -> None:
    assert refuse(mint.token(mint.header(kid=mint.DROP))) == "header"


def test_an_unknown_kid_is_refused_a18(mint: Any, refuse: Refuse) -> None:
    assert refuse(mint.token(mint.header(kid="A" * 43))) == "key"


@pytest.mark.parametrize("kid", [None, 1, True, ["x"], {"x": 1}], ids=lambda kid: f"A19-{type(kid).__name__}")
def test_a_kid_of_another_type_is_refused(mint: Any, refuse: Refuse, kid: object) -> None:
    assert refuse(mint.token(mint.header(kid=kid))) == "header"


@pytest.mark.parametrize(
    "kid",
    [
        pytest.param("../../../../dev/null", id="A20-path"),
        pytest.param("x' UNION SELECT 'secret", id="A20-sql"),
        pytest.param("A" * 42 + "\0", id="A20-nul"),
        pytest.param("A" * 43 + "\n", id="A20-newline"),
        pytest.param("A" * 42 + "\n", id="A20-newline-inside"),
        pytest.param("A" * 42 + "\u0410", id="A20-cyrillic"),
        pytest.param("", id="A20-empty"),
        pytest.param("A" * 44, id="A20-one-too-long"),
        pytest.param("A" * 100_000, id="A20-100kB"),
    ],
)
def test_a_kid_that_is_no_thumbprint_is_refused(mint: Any, refuse: Refuse, kid: str) -> None:
    assert refuse(mint.token(mint.header(kid=kid))) in {"key", "size"}


def foreign_certificate(key: SigningKey) -> str:
    """A certificate the key has issued for itself, as x5c has it (RFC 7515 section 4.1.6)."""
    name = Name([NameAttribute(NameOID.COMMON_NAME, "auth.example")])
    since = datetime(2026, 1, 1, tzinfo=UTC)
    builder = CertificateBuilder(name, name, key.verifying_key.public_key, 1, since, since + timedelta(days=365))
    certificate = builder.sign(key.private_key, SHA256())
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


def header_with_foreign_key(mint: Any, member: str) -> dict[str, object]:
    values: dict[str, object] = {
        "jwk": mint.foreign_key.verifying_key.jwk(),
        "jku": "http://127.0.0.1:9/jwks.json",
        "x5u": "http://127.0.0.1:9/chain.pem",
        "x5c": [foreign_certificate(mint.foreign_key)],
        "x5t": "AAAA",
    }
    return mint.header(**{member: values[member]})


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The addresses somebody tried to reach, which nobody can here."""
    asked: list[object] = []

    def refuse(*arguments: object, **_: object) -> None:
        asked.append(arguments)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return asked


@pytest.mark.parametrize(
    "member",
    [
        pytest.param("jwk", id="A21-jwk"),
        pytest.param("jku", id="A22-jku"),
        pytest.param("x5u", id="A22-x5u"),
        pytest.param("x5c", id="A23-x5c"),
        pytest.param("x5t", id="A23-x5t"),
    ],
)
@pytest.mark.parametrize("names_own_kid", [True, False])
def test_a_key_brought_along_is_refused_and_nobody_is_asked_for_it(
    mint: Any, refuse: Refuse, connections: list[object], member: str, names_own_kid: bool
) -> None:
    header = header_with_foreign_key(mint, member)
    if names_own_kid:
        header["kid"] = mint.foreign_key.kid
    assert refuse(mint.token(header, key=mint.foreign_key)) == "header"
    assert connections == []


def test_the_test_would_see_a_request_a22(connections: list[object]) -> None:
    with pytest.raises(OSError, match="urlopen error"):
        urllib.request.urlopen("http://127.0.0.1:9/jwks.json")
    assert connections


@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c", "x5t"], ids=lambda name: f"A24-{name}")
def test_these_headers_are_refused_on_a_rightly_signed_token_too(
    mint: Any, refuse: Refuse, connections: list[object], member: str
) -> None:
    assert refuse(mint.token(header_with_foreign_key(mint, member))) == "header"
    assert connections == []


def test_a_source_is_asked_for_thumbprints_only(mint: Any) -> None:
    asked: list[str] = []

    class Spy(StaticKeys):
        def get(self, kid: str) -> Any:
            asked.append(kid)
            return super().get(kid)

    verifier = TokenVerifier(Spy([mint.key.verifying_key]), "https://auth.example", frozenset({"api"}))
    for kid in ("../x", "A" * 43, "", "A" * 44, "A" * 43 + "\n"):
        with pytest.raises(TokenInvalid):
            verifier.verify(mint.token(mint.header(kid=kid)))
    assert asked == ["A" * 43]


def test_a_private_key_cannot_stand_where_a_public_one_belongs(mint: Any) -> None:
    with pytest.raises(KeyPolicyError):
        VerifyingKey.of(mint.key.private_key)
    with pytest.raises(KeyPolicyError):
        SigningKey.of(mint.key.verifying_key.public_key)
