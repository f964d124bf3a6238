"""Signing keys on disk: made once, never overwritten, refused with a word on what to do."""

import base64
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from common.jwt import ES256, RS256, KeyFileError, generate_signing_key, load_signing_key
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)


def write_pem(path: Path, *, curve: ec.EllipticCurve | None = None, password: bytes | None = None) -> None:
    key = ec.generate_private_key(curve or ec.SECP256R1())
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))


def with_an_unknown_curve(pem: bytes) -> bytes:
    """The same key, said to be on a curve no library has heard of."""
    lines = pem.splitlines()
    der = base64.b64decode(b"".join(lines[1:-1]))
    p256, unknown = bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d03017f")
    return b"\n".join([lines[0], base64.b64encode(der.replace(p256, unknown)), lines[-1]])


@pytest.mark.parametrize("alg", [ES256, RS256])
def test_a_generated_key_loads_and_signs(tmp_path: Path, alg: str) -> None:
    assert generate_signing_key(tmp_path / "signing.pem", alg)
    key = load_signing_key(tmp_path)
    assert key.alg == alg
    assert key.verifying_key.accepts(b"x", key.sign(b"x"))


def test_a_generated_key_is_its_owners_alone(tmp_path: Path) -> None:
    generate_signing_key(tmp_path / "signing.pem")
    assert (tmp_path / "signing.pem").stat().st_mode & 0o777 == 0o600


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    path.write_text("mine")
    assert not generate_signing_key(path)
    assert path.read_text() == "mine"


def test_many_starts_at_once_make_one_key_and_leave_nothing_beside_it(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: generate_signing_key(tmp_path / "signing.pem"), range(8)))
    assert made.count(True) == 1
    assert os.listdir(tmp_path) == ["signing.pem"]


def test_another_algorithm_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ES256 or RS256"):
        generate_signing_key(tmp_path / "signing.pem", "HS256")
    assert not os.listdir(tmp_path)


def test_a_key_mounted_by_kubernetes_is_found_once(tmp_path: Path) -> None:
    """A mounted Secret is a link to a link; the directory behind it must not count as a second key."""
    version = tmp_path / "..2026_05_04"
    version.mkdir()
    generate_signing_key(version / "signing.pem")
    (tmp_path / "..data").symlink_to(version.name)
    (tmp_path / "signing.pem").symlink_to("..data/signing.pem")
    assert load_signing_key(tmp_path).alg == ES256


def test_no_key_two_keys_and_no_directory_each_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="holds no"):
        load_signing_key(tmp_path)
    with pytest.raises(KeyFileError, match="cannot be read"):
        load_signing_key(tmp_path / "absent")
    write_pem(tmp_path / "a.pem")
    write_pem(tmp_path / "b.pem")
    with pytest.raises(KeyFileError, match=r"a\.pem, b\.pem"):
        load_signing_key(tmp_path)


def test_what_is_no_usable_private_key_is_refused_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    for text in (b"", b"hello", public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)):
        path.write_bytes(text)
        with pytest.raises(KeyFileError, match=r"signing\.pem is not an unencrypted private key"):
            load_signing_key(tmp_path)
    write_pem(path, password=b"secret")
    with pytest.raises(KeyFileError, match="unencrypted"):
        load_signing_key(tmp_path)
    write_pem(path)
    path.write_bytes(with_an_unknown_curve(path.read_bytes()))
    with pytest.raises(KeyFileError, match=r"signing\.pem cannot sign tokens: Curve"):
        load_signing_key(tmp_path)
    write_pem(path, curve=ec.SECP384R1())
    with pytest.raises(KeyFileError, match="P-256"):
        load_signing_key(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(KeyFileError, match="cannot be read"):
        load_signing_key(tmp_path)
