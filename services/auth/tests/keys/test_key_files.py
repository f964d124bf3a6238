"""Key files: each read whole or refused with its path and a word on what is wrong."""

import base64
from pathlib import Path

import pytest
from auth_service.keys import KeyFileError
from auth_service.keys.pem import new_signing_key, read_signing_key
from auth_service.keys.refresh import RefreshKey, file_name, new_refresh_key, read_refresh_key, version_of
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)


def ec_pem(curve: ec.EllipticCurve | None = None, password: bytes | None = None) -> bytes:
    key = ec.generate_private_key(curve or ec.SECP256R1())
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def rsa_pem(bits: int) -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def public_pem() -> bytes:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def with_an_unknown_curve(pem: bytes) -> bytes:
    """The same key, said to be on a curve no library has heard of."""
    lines = pem.splitlines()
    der = base64.b64decode(b"".join(lines[1:-1]))
    p256, unknown = bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d03017f")
    return b"\n".join([lines[0], base64.b64encode(der.replace(p256, unknown)), lines[-1]])


@pytest.mark.parametrize("alg", ["ES256", "RS256"])
def test_a_new_signing_key_reads_back_and_signs(tmp_path: Path, alg: str) -> None:
    (tmp_path / "signing.pem").write_bytes(new_signing_key(alg))
    key = read_signing_key(tmp_path / "signing.pem")
    assert key.alg == alg
    assert key.verifying_key.accepts(b"x", key.sign(b"x"))


def test_an_rsa_key_of_another_tool_is_taken(tmp_path: Path) -> None:
    (tmp_path / "signing.pem").write_bytes(rsa_pem(2048))
    assert read_signing_key(tmp_path / "signing.pem").alg == "RS256"


def test_a_new_key_has_no_other_algorithm() -> None:
    with pytest.raises(ValueError, match="ES256 or RS256"):
        new_signing_key("HS256")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "is not an unencrypted private key in PEM", id="empty"),
        pytest.param(b"hello", "is not an unencrypted private key in PEM", id="text"),
        pytest.param(public_pem(), "is not an unencrypted private key in PEM", id="public"),
        pytest.param(ec_pem(password=b"secret"), "is not an unencrypted private key in PEM", id="encrypted"),
        pytest.param(with_an_unknown_curve(ec_pem()), "cannot sign tokens: Curve", id="unknown-curve"),
        pytest.param(ec_pem(ec.SECP384R1()), "cannot sign tokens: .* use P-256", id="P-384"),
        pytest.param(rsa_pem(1024), "cannot sign tokens: .* 1024", id="RSA-1024"),
    ],
)
def test_what_is_no_usable_signing_key_is_refused_with_its_path(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "signing.pem").write_bytes(content)
    with pytest.raises(KeyFileError, match=rf"signing\.pem {message}"):
        read_signing_key(tmp_path / "signing.pem")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for read in (read_signing_key, lambda path: read_refresh_key(path, 1)):
        with pytest.raises(KeyFileError, match="key cannot be read: No such file"):
            read(tmp_path / "absent.key")
        with pytest.raises(KeyFileError, match="cannot be read: Is a directory"):
            read(tmp_path)


def test_a_new_refresh_key_reads_back_and_does_not_show_its_secret(tmp_path: Path) -> None:
    (tmp_path / "refresh-7.key").write_bytes(new_refresh_key())
    key = read_refresh_key(tmp_path / "refresh-7.key", 7)
    assert (key.version, len(key.secret)) == (7, 32)
    assert repr(key) == "RefreshKey(version=7)"
    assert new_refresh_key() != new_refresh_key()


def test_a_refresh_key_needs_no_newline_and_may_be_longer(tmp_path: Path) -> None:
    (tmp_path / "refresh-1.key").write_bytes(base64.urlsafe_b64encode(b"k" * 48))
    assert read_refresh_key(tmp_path / "refresh-1.key", 1) == RefreshKey(1, b"k" * 48)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        base64.urlsafe_b64encode(b"k" * 31).rstrip(b"="),
        base64.urlsafe_b64encode(b"k" * 32),  # with padding
        base64.b64encode(b"\xff" * 33),  # the other alphabet
        base64.urlsafe_b64encode(b"k" * 33) + b"\n\n",
        b"k" * 42 + b"\xff",
    ],
)
def test_what_is_no_refresh_key_is_refused_with_its_path(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "refresh-1.key").write_bytes(content)
    with pytest.raises(KeyFileError, match=r"refresh-1\.key is not one line of unpadded base64url of 32 bytes"):
        read_refresh_key(tmp_path / "refresh-1.key", 1)


def test_a_file_name_says_the_version() -> None:
    for version in (1, 10, 9999):
        assert version_of(file_name(version)) == version
    for name in ("refresh-0.key", "refresh-01.key", "refresh-10000.key", "refresh-1.key~", "refresh-.key", "a.pem"):
        assert version_of(name) is None
