"""MySQL's certificate where there is no cert-manager: a private CA that signs once and is thrown away.

Nobody can sign a second certificate with it, so there is no CA key to guard. When the certificate nears its end, both
Secrets are deleted and made anew, and the pods that use them restarted (charts/mysql/README.md).
"""

import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from devtools.make_secrets.wanted import Values, ec_key, openssl

SERVER_SECRET = "mysql-tls"  # noqa: S105 - a name
CA_SECRET = "mysql-ca"  # noqa: S105 - a name
SERVER_KEYS = ("ca.crt", "tls.crt", "tls.key")
CA_KEYS = ("ca.crt",)

CA_DAYS = 3650
# The longest that TLS clients (Apple's, for one) accept of a server.
SERVER_DAYS = 825

# The one form that OpenSSL 1.1, OpenSSL 3 and LibreSSL all read: extensions come from a file.
_CONFIG = """\
[req]
distinguished_name = dn
prompt = no
[dn]
CN = {subject}
[ca]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
"""


def names(namespace: str) -> str:
    """Return the names the server is called by, as openssl writes them."""
    hosts = ["mysql", f"mysql.{namespace}", f"mysql.{namespace}.svc", f"mysql.{namespace}.svc.cluster.local"]
    return ",".join([*(f"DNS:{host}" for host in hosts), "DNS:localhost", "IP:127.0.0.1"])


def server_certificate(namespace: str) -> Values:
    """Make a CA, a server key and its certificate; what comes back does not hold the CA's key."""
    with tempfile.TemporaryDirectory(prefix="redprint-ca-") as folder:  # only its owner can look into it
        ca, server = _Party(Path(folder), "ca", "redprint mysql"), _Party(Path(folder), "tls", "mysql")
        for party in (ca, server):
            party.key.write_bytes(ec_key())
            party.config.write_text(_CONFIG.format(subject=party.subject, names=names(namespace)))
        ca.certificate.write_bytes(ca.openssl("req", "-x509", "-new", "-extensions", "ca", "-days", str(CA_DAYS)))
        request = server.openssl("req", "-new")
        signer = ["-CA", str(ca.certificate), "-CAkey", str(ca.key), "-set_serial", f"0x{secrets.token_hex(16)}"]
        extensions = ["-extfile", str(server.config), "-extensions", "server"]
        signing = ["x509", "-req", "-sha256", "-days", str(SERVER_DAYS), *signer, *extensions]
        server.certificate.write_bytes(openssl(*signing, stdin=request))
        return {key: (Path(folder) / key).read_bytes() for key in SERVER_KEYS}


@dataclass(frozen=True)
class _Party:
    """One of the two whose name stands in a certificate, and its files."""

    folder: Path
    name: str
    subject: str

    @property
    def key(self) -> Path:
        return self.folder / f"{self.name}.key"

    @property
    def certificate(self) -> Path:
        return self.folder / f"{self.name}.crt"

    @property
    def config(self) -> Path:
        return self.folder / f"{self.name}.cnf"

    def openssl(self, command: str, *arguments: str) -> bytes:
        return openssl(command, *arguments, "-sha256", "-key", str(self.key), "-config", str(self.config))
