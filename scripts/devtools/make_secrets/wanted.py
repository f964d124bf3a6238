"""Which Secrets there are, for whom, and how their values come about. Charts refer to these names."""

import base64
import secrets
import string
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from devtools.say import Stop

ALPHABET = string.ascii_letters + string.digits
# 40 characters of 62 are 238 bits. Letters and digits only, because passwords pass through SQL, option files and ACLs.
PASSWORD_LENGTH = 40

Values = Mapping[str, bytes]


@dataclass(frozen=True)
class Wanted:
    """A Secret that has to exist: its keys, and how to make it."""

    name: str
    keys: tuple[str, ...]
    make: Callable[[], Values]
    type: str = "Opaque"


def password() -> bytes:
    """Return a new random password."""
    return "".join(secrets.choice(ALPHABET) for _ in range(PASSWORD_LENGTH)).encode()


def only_password() -> Values:
    """Make the values of a Secret that holds nothing but a password."""
    return {"password": password()}


def exporter() -> Values:
    """Make the exporter's password, and the option file that it reads it from."""
    made = password()
    return {"password": made, "my.cnf": b"[client]\nuser=exporter\npassword=" + made + b"\n"}


# Keys that have successors of other names once they are rotated (flask keys): one of that kind is enough.
SUCCESSORS: Mapping[str, str] = {"signing.pem": "*.pem", "refresh-1.key": "refresh-*.key"}


def auth_keys() -> Values:
    """Make the key that auth signs access tokens with, and the one it derives refresh tokens with."""
    return {"signing.pem": ec_key(), "refresh-1.key": base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=")}


def ec_key() -> bytes:
    """Return a new private key, EC P-256 in PKCS8 PEM."""
    return openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")


def openssl(*arguments: str, stdin: bytes | None = None) -> bytes:
    """Return what openssl prints. Keys go through pipes and files only their owner can read, never arguments."""
    try:
        done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise Stop("openssl is missing; on Debian and Ubuntu: apt-get install openssl") from error
    if done.returncode != 0:
        raise Stop(f"openssl {arguments[0]} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


# Each has one consumer, so that who reads one learns nothing else. The certificate is not in here: its two Secrets
# have to fit each other (certificate.py).
PLAIN = (
    Wanted("mysql-root", ("password",), only_password),
    Wanted("mysql-probe", ("password",), only_password),
    Wanted("mysql-backup", ("password",), only_password),
    Wanted("mysql-exporter", ("password", "my.cnf"), exporter),
    Wanted("auth-db", ("password",), only_password),
    Wanted("auth-db-ddl", ("password",), only_password),
    Wanted("api-db", ("password",), only_password),
    Wanted("api-db-ddl", ("password",), only_password),
    Wanted("worker-db-api", ("password",), only_password),
    Wanted("worker-db-auth", ("password",), only_password),
    Wanted("valkey-broker", ("password",), only_password),
    Wanted("valkey-state", ("password",), only_password),
    Wanted("auth-keys", ("signing.pem", "refresh-1.key"), auth_keys),
)
