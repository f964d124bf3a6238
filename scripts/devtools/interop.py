"""scripts/interop: a real auth, and a Node script that knows the address of its metadata and nothing else."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

from common.db import migrate

from devtools import say
from devtools.live import Unexpected, expect, pick_ports
from devtools.paths import ROOT
from devtools.processes import end, marked
from devtools.run.prepare import make_folders
from devtools.run.stack import Stack
from devtools.say import Stop
from devtools.tour.http import Request, send, wait_for
from devtools.tour.steps import Account, new_account

FOLDER = ROOT / "services" / "auth" / "interop"
ALGORITHMS = ("ES256", "RS256")
NODE_MAJOR = 20  # what the library asks for
ROTATION_SECONDS = 60  # auth looks at its keys every 15 s


def main() -> int:
    """Print a line for each algorithm and key; 1 with a reason if a token is not taken, or Node is missing."""
    try:
        _install()
        for alg in ALGORITHMS:
            _check(alg)
    except (Stop, Unexpected) as problem:
        say.note(f"interop: {problem}")
        return 1
    return 0


def _install() -> None:
    """Fetch the one library, of the version that package.json names."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Stop(
            f"node and npm are missing. Install Node {NODE_MAJOR} or newer; on Debian: apt-get install nodejs npm"
        )
    version = _run(["node", "--version"]).strip()
    major = re.match(r"v(\d+)", version)
    if major is None or int(major[1]) < NODE_MAJOR:
        raise Stop(f"node is {version}; the library needs {NODE_MAJOR} or newer")
    _run(["npm", "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"])


def _check(alg: str) -> None:
    """Have a token verified, replace the key while auth runs, and have a token of the new one verified."""
    with _running_auth(alg) as stack:
        account = new_account(stack.auth_url)
        body = {"email": account.email, "password": account.password}
        expect(202, send(Request("POST", f"{stack.auth_url}/api/v1/auth/register", body=body)))
        old = _verified(account)
        _flask_keys(stack, "rotate", "--lead", "0s", "--force")
        new = _verified_with_another_key(account, old["kid"])
    if (old["alg"], new["alg"]) != (alg, alg):
        raise Unexpected(f"the tokens were signed with {old['alg']} and {new['alg']}, not {alg}")
    say.result(
        f"{alg}: tokens of key {old['kid'][:8]} and, after a rotation, {new['kid'][:8]} are accepted; "
        f"{old['refused']} spoilt or misdirected ones of each are refused"
    )


def _verified(account: Account) -> dict[str, Any]:
    """Log in and return what the Node script says of the token, which it has to accept."""
    token = expect(200, send(account.login())).json()["access_token"]
    metadata = f"{account.auth_url}/.well-known/oauth-authorization-server"
    said: dict[str, Any] = json.loads(_run(["node", "verify.mjs", metadata, "api"], stdin=token))
    return said


def _verified_with_another_key(account: Account, kid: str) -> dict[str, Any]:
    deadline = time.monotonic() + ROTATION_SECONDS
    while (said := _verified(account))["kid"] == kid:
        if time.monotonic() > deadline:
            raise Unexpected(f"{ROTATION_SECONDS} s after a rotation auth still signs with the old key")
        time.sleep(1)
    return said


@contextmanager
def _running_auth(alg: str) -> Iterator[Stack]:
    """Serve auth from an empty folder, on SQLite and with a new key."""
    with tempfile.TemporaryDirectory(prefix="redprint-interop-") as name:
        folder = Path(name)
        make_folders(folder)
        database = f"sqlite:///{folder / 'data' / 'auth.db'}"
        stack = Stack(folder, pick_ports(), database, "", extra={"APP_ENV": "development", "LOG_LEVEL": "error"})
        _flask_keys(stack, "init", "--alg", alg)
        migrate(database, "auth_service")
        service, log = stack.auth(), folder / "logs" / "auth.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                service.command, cwd=ROOT, env=service.env, stdout=output, stderr=output, start_new_session=True
            )
        try:
            if not wait_for(f"{stack.auth_url}/readyz", 60, Event()):
                raise Unexpected(f"auth is not ready: {log.read_text()[-3000:]}")
            yield stack
        finally:
            end(marked(folder), grace_seconds=0)
            process.wait()


def _flask_keys(stack: Stack, command: str, *options: str) -> None:
    _run([sys.executable, "-m", "flask", "keys", command, "--dir", str(stack.keys), *options])


def _run(command: list[str], stdin: str | None = None) -> str:
    """Return what a command prints; raise Unexpected with all it said if it fails."""
    done = subprocess.run(command, cwd=FOLDER, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unexpected(f"{' '.join(command[:3])} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
