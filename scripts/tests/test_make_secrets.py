"""scripts/make-secrets, against a kubectl that keeps Secrets in a folder and remembers what it was called with."""

import base64
import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from auth_service.keys import KeyDirectory
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.verification import PolicyBuilder, Store
from devtools.make_secrets import cli
from devtools.paths import SCRIPTS

EVERY_SECRET = {
    "mysql-root": {"password"},
    "mysql-probe": {"password"},
    "mysql-backup": {"password"},
    "mysql-exporter": {"password", "my.cnf"},
    "auth-db": {"password"},
    "auth-db-ddl": {"password"},
    "api-db": {"password"},
    "api-db-ddl": {"password"},
    "worker-db-api": {"password"},
    "worker-db-auth": {"password"},
    "valkey-broker": {"password"},
    "valkey-state": {"password"},
    "auth-keys": {"signing.pem", "refresh-1.key"},
    "mysql-tls": {"ca.crt", "tls.crt", "tls.key"},
    "mysql-ca": {"ca.crt"},
}

# Does what the real one does with the calls that make-secrets makes, templates included as far as they are used.
FAKE_KUBECTL = """\
#!{python} -IS
import base64, json, re, sys
from pathlib import Path

store = Path({store!r})
words = [word for word in sys.argv[1:] if not word.startswith("--request-timeout")]
with (store / "calls").open("a") as calls:
    calls.write(json.dumps(words) + "\\n")
namespace = ""
if words[0] == "--namespace":
    namespace, words = words[1], words[2:]
secrets = store / namespace

def fail(reason):
    print(reason, file=sys.stderr)
    sys.exit(1)

if words[:2] == ["config", "current-context"]:
    if (store / "no-context").exists():
        fail("error: current-context is not set")
    print("test-context")
elif (store / "no-cluster").exists():
    fail("The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?")
elif words[:2] == ["get", "namespace"]:
    if not (store / words[2]).is_dir():
        fail(f'Error from server (NotFound): namespaces "{{words[2]}}" not found')
elif words[:2] == ["get", "secrets"]:
    for path in sorted(secrets.iterdir()):
        data = json.loads(path.read_text())["data"]
        print(path.name, *(key for key, value in data.items() if value))
elif words[:2] == ["get", "secret"]:
    key = re.search(r'index .data "([^"]+)"', words[3]).group(1)
    print(json.loads((secrets / words[2]).read_text())["data"][key], end="")
elif words == ["create", "--filename=-"]:
    manifest = json.load(sys.stdin)
    name = manifest["metadata"]["name"]
    try:
        with (secrets / name).open("x") as file:
            json.dump(manifest, file)
    except FileExistsError:
        fail(f'Error from server (AlreadyExists): error when creating "STDIN": secrets "{{name}}" already exists')
else:
    fail(f"unexpected call {{words}}")
"""

NAMESPACE = "redprint-staging"


class Cluster:
    """What the fake kubectl sees, and a way to look at it."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.namespace = store / NAMESPACE

    def secrets(self) -> dict[str, dict[str, bytes]]:
        return {
            path.name: {key: base64.b64decode(value) for key, value in json.loads(path.read_text())["data"].items()}
            for path in self.namespace.iterdir()
        }

    def put(self, name: str, **values: bytes) -> None:
        data = {key: base64.b64encode(value).decode() for key, value in values.items()}
        (self.namespace / name).write_text(json.dumps({"data": data}))

    def take_away(self, *names: str) -> None:
        for name in names:
            (self.namespace / name).unlink()

    def calls(self) -> str:
        return (self.store / "calls").read_text()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    store, programs = tmp_path / "store", tmp_path / "bin"
    (store / NAMESPACE).mkdir(parents=True)
    programs.mkdir()
    kubectl = programs / "kubectl"
    kubectl.write_text(FAKE_KUBECTL.format(python=sys.executable, store=str(store)))
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    for name in ("ENV", "NAMESPACE", "CONFIRM"):
        monkeypatch.delenv(name, raising=False)
    return Cluster(store)


def make(*arguments: str) -> int:
    return cli.main(["ENV=staging", *arguments])


def test_every_secret_is_created_with_its_keys(cluster: Cluster) -> None:
    assert make() == 0
    assert {name: set(values) for name, values in cluster.secrets().items()} == EVERY_SECRET


def test_passwords_are_long_plain_and_all_different(cluster: Cluster) -> None:
    make()
    passwords = [values["password"] for values in cluster.secrets().values() if "password" in values]
    assert len(set(passwords)) == len(passwords) == 12
    assert all(len(password) >= 32 and password.isalnum() and password.isascii() for password in passwords)


def test_the_exporter_reads_the_password_its_user_gets(cluster: Cluster) -> None:
    make()
    exporter = cluster.secrets()["mysql-exporter"]
    assert f"user=exporter\npassword={exporter['password'].decode()}\n" in exporter["my.cnf"].decode()


def test_the_keys_are_ones_that_auth_takes(cluster: Cluster, tmp_path: Path) -> None:
    make()
    for name, content in cluster.secrets()["auth-keys"].items():
        (tmp_path / name).write_bytes(content)
    keys = KeyDirectory(tmp_path)
    assert keys.active_signing_key().alg == "ES256"
    assert (keys.refresh_key().version, len(keys.refresh_key().secret)) == (1, 32)


@pytest.mark.parametrize(
    "host",
    ["mysql", f"mysql.{NAMESPACE}", f"mysql.{NAMESPACE}.svc", f"mysql.{NAMESPACE}.svc.cluster.local", "localhost"],
)
def test_the_certificate_holds_for_each_name_of_the_server(cluster: Cluster, host: str) -> None:
    make()
    secrets = cluster.secrets()
    certificate = x509.load_pem_x509_certificate(secrets["mysql-tls"]["tls.crt"])
    authority = x509.load_pem_x509_certificate(secrets["mysql-ca"]["ca.crt"])
    PolicyBuilder().store(Store([authority])).build_server_verifier(x509.DNSName(host)).verify(certificate, [])


def test_the_certificate_fits_its_key_and_the_key_of_the_ca_is_nowhere(cluster: Cluster) -> None:
    make()
    secrets = cluster.secrets()
    server = x509.load_pem_x509_certificate(secrets["mysql-tls"]["tls.crt"]).public_key()
    authority = x509.load_pem_x509_certificate(secrets["mysql-ca"]["ca.crt"]).public_key()
    keys = [
        load_pem_private_key(value, password=None).public_key()
        for values in secrets.values()
        for value in values.values()
        if b"PRIVATE KEY" in value
    ]
    assert server in keys
    assert authority not in keys
    assert secrets["mysql-tls"]["ca.crt"] == secrets["mysql-ca"]["ca.crt"]


def test_what_exists_is_never_changed(cluster: Cluster) -> None:
    make()
    before = cluster.secrets()
    assert make() == 0
    assert cluster.secrets() == before


def test_only_what_is_missing_is_created(cluster: Cluster) -> None:
    make()
    before = cluster.secrets()
    cluster.take_away("auth-db", "auth-keys")
    assert make() == 0
    after = cluster.secrets()
    changed = {name for name in EVERY_SECRET if after[name] != before[name]}
    assert changed == {"auth-db", "auth-keys"}


def test_names_are_printed_and_no_value_ever(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    make()
    make("--check")
    captured = capsys.readouterr()
    printed = captured.out + captured.err + cluster.calls()
    assert "auth-db created" in captured.out
    for values in cluster.secrets().values():
        for value in values.values():
            assert value.decode().strip() not in printed
            assert base64.b64encode(value).decode() not in printed


def test_a_secret_without_one_of_its_keys_is_named_and_kept(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.put("mysql-exporter", password=b"chosen")
    assert make() == 1
    assert cluster.secrets()["mysql-exporter"] == {"password": b"chosen"}
    assert "mysql-exporter exists without my.cnf" in capsys.readouterr().out


def test_keys_that_were_rotated_are_all_that_auth_needs(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    make()
    names = ("signing-20261123-AAAAAAAA.pem", "refresh-2.key", "manifest.json")
    cluster.put("auth-keys", **dict.fromkeys(names, b"rotated"))
    assert make("--check") == 0
    cluster.put("auth-keys", **dict.fromkeys(names[1:], b"rotated"))
    assert make("--check") == 1
    assert "auth-keys exists without signing.pem" in capsys.readouterr().out


def test_a_key_without_a_value_counts_as_missing(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    make()
    cluster.put("auth-db", password=b"")
    assert make("--check") == 1
    assert "auth-db exists without password" in capsys.readouterr().out


def test_check_lists_what_is_missing_and_creates_nothing(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    make()
    cluster.take_away("api-db", "mysql-tls")
    before = cluster.secrets()
    assert make("--check") == 1
    assert cluster.secrets() == before
    assert capsys.readouterr().out.splitlines()[-2:] == ["api-db is missing", "mysql-tls is missing"]


def test_check_is_content_when_all_is_there(cluster: Cluster) -> None:
    make()
    assert make("--check") == 0


def test_a_missing_ca_is_taken_from_the_certificate(cluster: Cluster) -> None:
    make()
    cluster.take_away("mysql-ca")
    assert make() == 0
    secrets = cluster.secrets()
    assert secrets["mysql-ca"] == {"ca.crt": secrets["mysql-tls"]["ca.crt"]}


def test_a_ca_without_its_certificate_is_refused_before_anything_is_created(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.put("mysql-ca", **{"ca.crt": b"somebody else's"})
    assert make() == 1
    assert set(cluster.secrets()) == {"mysql-ca"}
    assert "delete secret mysql-ca" in capsys.readouterr().err


def test_two_runs_at_once_agree(cluster: Cluster) -> None:
    command = [sys.executable, SCRIPTS / "make-secrets", "ENV=staging"]

    def run(_: int) -> int:
        return subprocess.run(command, capture_output=True, check=False).returncode

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(run, range(3))) == [0, 0, 0]
    secrets = cluster.secrets()
    assert set(secrets) == set(EVERY_SECRET)
    assert secrets["mysql-tls"]["ca.crt"] == secrets["mysql-ca"]["ca.crt"]


def test_a_missing_namespace_is_named_with_what_to_do(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert make("NAMESPACE=elsewhere") == 1
    assert "kubectl apply -k k8s/overlays/staging" in capsys.readouterr().err


@pytest.mark.parametrize("state", ["no-context", "no-cluster"])
def test_no_cluster_is_one_clear_line(cluster: Cluster, capsys: pytest.CaptureFixture[str], state: str) -> None:
    (cluster.store / state).touch()
    assert make() == 1
    assert "make-secrets: " in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["ENV=prod"], ["ENV=staging", "NAMESAPCE=x"], ["ENV=staging", "--chekc"]])
def test_a_wrong_call_says_how_it_is_called(
    cluster: Cluster, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert cli.main(arguments) == 2
    assert "usage: scripts/make-secrets" in capsys.readouterr().err
    assert cluster.secrets() == {}


def test_production_wants_the_context_confirmed(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    production = ["ENV=production", f"NAMESPACE={NAMESPACE}"]
    assert cli.main([*production, "CONFIRM=another"]) == 1
    assert "CONFIRM=test-context" in capsys.readouterr().err
    assert cluster.secrets() == {}
    assert cli.main([*production, "CONFIRM=test-context"]) == 0
    assert cli.main([*production, "--check"]) == 0
