"""Which database URLs are taken and how the others are refused."""

import ssl
from datetime import timedelta

import pytest
from common.clock import utc_now
from common.db import Database, DatabaseURLError
from common.db.engine import make_engine, parse_url
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy.exc import OperationalError


@pytest.mark.parametrize(
    ("url", "dialect"),
    [
        ("mysql+pymysql://user:secret@db/name?charset=utf8mb4", "mysql"),
        ("mysql://user:secret@db/name", "mysql"),
        ("sqlite:///folder/file.db", "sqlite"),
        ("sqlite+pysqlite:////folder/file.db", "sqlite"),
    ],
)
def test_mysql_and_sqlite_files_are_taken(url, dialect):
    assert Database(url).dialect_name == dialect
    assert parse_url(parse_url(url)) == parse_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "postgresql://user:secret@db/name",
        "mysql+mysqldb://user:secret@db/name",
        "mysql+pymysql://user:secret@db:port/name",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql+pymysql://user:secret@db/name?ssl_ca=/ca.pem",
        "mysql+pymysql://user:secret@db/name?ssl_verify_cert=false",
    ],
)
def test_other_urls_are_refused_without_showing_the_password(url):
    with pytest.raises(DatabaseURLError) as refusal:
        parse_url(url)
    assert "secret" not in str(refusal.value)


def new_ca(folder):
    """The file of a CA nobody knows."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody's CA")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(utc_now() - timedelta(days=1))
        .not_valid_after(utc_now() + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "ca.pem"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_a_server_with_a_certificate_of_another_ca_is_not_trusted(database_url_factory, tmp_path):
    database = Database(database_url_factory(None), tls_ca=new_ca(tmp_path))
    with pytest.raises(OperationalError, match="CERTIFICATE_VERIFY_FAILED"):
        database.warm()


def test_a_ca_file_makes_one_tls_context_that_verifies_the_server(tmp_path):
    given = []
    engine = make_engine("mysql+pymysql://user@db/name", tls_ca=new_ca(tmp_path))
    engine.dialect.connect = lambda *_, **arguments: given.append(arguments)  # type: ignore[method-assign]
    for _ in range(2):
        engine.pool._creator()
    assert given[0]["ssl"] is given[1]["ssl"]
    assert given[0]["ssl"].verify_mode == ssl.CERT_REQUIRED
    assert given[0]["ssl"].check_hostname


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_an_unusable_ca_file_is_named(tmp_path, content):
    ca = tmp_path / "ca.pem"
    if content is not None:
        ca.write_text(content)
    with pytest.raises(DatabaseURLError, match=r"DB_TLS_CA: .*ca\.pem"):
        Database("mysql+pymysql://user@db/name", tls_ca=ca)
