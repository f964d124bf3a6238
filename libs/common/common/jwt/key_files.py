"""Signing keys on disk: a directory that holds one private key in PEM, active since ever."""

import os
import tempfile
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from common.jwt.errors import KeyFileError, KeyPolicyError
from common.jwt.keys import ES256, RS256, PrivateKey, SigningKey

_GENERATED_RSA_BITS = 3072  # about the strength of P-256 (NIST SP 800-57)


def load_signing_key(directory: Path) -> SigningKey:
    """Return the one private key (`*.pem`, not encrypted) of the directory.

    Raises KeyFileError when there is none, more than one, or one that cannot be used.
    """
    path = _find_key_file(directory)
    try:
        return SigningKey.of(load_pem_private_key(path.read_bytes(), password=None))
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
    except (KeyPolicyError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{path} cannot sign tokens: {error}") from error
    except (ValueError, TypeError) as error:  # TypeError: the key is encrypted
        raise KeyFileError(f"{path} is not an unencrypted private key in PEM") from error


def generate_signing_key(path: Path, alg: str = ES256) -> bool:
    """Write a new private key (PKCS #8, mode 0600) and return True; False, and nothing written, if the file exists.

    The file appears whole or not at all, also when two processes start at once. Raises OSError.
    """
    pem = _new_private_key(alg).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-key-")  # made with mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(descriptor)
        return _link(temporary, path)
    finally:
        os.unlink(temporary)


def _find_key_file(directory: Path) -> Path:
    try:
        paths = sorted(path for path in directory.iterdir() if path.suffix == ".pem")
    except OSError as error:
        raise KeyFileError(f"the key directory {directory} cannot be read: {error.strerror}") from error
    if not paths:
        raise KeyFileError(f"{directory} holds no *.pem file: mount one private key there")
    if len(paths) > 1:
        names = ", ".join(path.name for path in paths)
        raise KeyFileError(f"{directory} holds {names}: leave one private key there")
    return paths[0]


def _new_private_key(alg: str) -> PrivateKey:
    if alg == ES256:
        return ec.generate_private_key(ec.SECP256R1())
    if alg == RS256:
        return rsa.generate_private_key(public_exponent=65537, key_size=_GENERATED_RSA_BITS)
    raise ValueError(f"alg is {ES256} or {RS256}")


def _link(temporary: str, path: Path) -> bool:
    try:
        os.link(temporary, path)  # unlike a rename it never replaces
    except FileExistsError:
        return False
    return True
