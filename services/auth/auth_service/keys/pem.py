"""Signing keys on disk: one unencrypted private key in PEM in each file."""

from pathlib import Path

from common.jwt import ES256, RS256, KeyPolicyError, SigningKey
from common.jwt.keys import PrivateKey
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from auth_service.keys.errors import KeyFileError

SUFFIX = ".pem"
_GENERATED_RSA_BITS = 3072  # about the strength of P-256 (NIST SP 800-57)


def read_signing_key(path: Path) -> SigningKey:
    """Return the key of a file; raises KeyFileError unless it is one that may sign, and does in a trial."""
    try:
        return parse_signing_key(path.read_bytes())
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
    except (KeyPolicyError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{path} cannot sign tokens: {error}") from error
    except (ValueError, TypeError) as error:  # TypeError: the key is encrypted
        raise KeyFileError(f"{path} is not an unencrypted private key in PEM") from error


def parse_signing_key(pem: bytes) -> SigningKey:
    """Return the key of a text; raises whatever is wrong with it."""
    return SigningKey.of(load_pem_private_key(pem, password=None))


def new_signing_key(alg: str) -> bytes:
    """Return a new private key for an algorithm, as PKCS #8 in PEM."""
    return _new_private_key(alg).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _new_private_key(alg: str) -> PrivateKey:
    if alg == ES256:
        return ec.generate_private_key(ec.SECP256R1())
    if alg == RS256:
        return rsa.generate_private_key(public_exponent=65537, key_size=_GENERATED_RSA_BITS)
    raise ValueError(f"alg is {ES256} or {RS256}")
