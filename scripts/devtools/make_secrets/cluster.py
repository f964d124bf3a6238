"""Secrets in a namespace, through kubectl. Values go in by stdin and, but for a public certificate, never come out."""

import base64
import json
import subprocess

from devtools.make_secrets.wanted import Values, Wanted
from devtools.say import Stop

TIMEOUT_SECONDS = 15

# Names and keys only: the values stay in the cluster. A key without a value counts as missing.
_NAMES_AND_KEYS = (
    "{{range .items}}{{.metadata.name}}{{range $key, $value := .data}}{{if $value}} {{$key}}{{end}}{{end}}"
    '{{"\\n"}}{{end}}'
)


class Namespace:
    """One namespace of the cluster that kubectl points at."""

    def __init__(self, name: str) -> None:
        self.name = name

    def context(self) -> str:
        """Return the name of kubectl's context. Raises Stop where there is none."""
        done = _kubectl("config", "current-context")
        if done.returncode != 0:
            raise Stop("kubectl has no cluster: set KUBECONFIG, or choose a context (kubectl config use-context NAME)")
        return done.stdout.strip()

    def require(self, remedy: str) -> None:
        """Raise Stop unless the cluster answers and the namespace is there."""
        done = _kubectl("get", "namespace", self.name, "--output=name")
        if done.returncode == 0:
            return
        if "(NotFound)" in done.stderr:
            raise Stop(f"the namespace {self.name} does not exist; {remedy}")
        raise Stop(f"the cluster of context {self.context()} does not let us in: {_last_line(done.stderr)}")

    def keys_by_secret(self) -> dict[str, set[str]]:
        """Return the keys of each Secret."""
        done = self._run("get", "secrets", f"--output=go-template={_NAMES_AND_KEYS}")
        if done.returncode != 0:
            raise Stop(f"cannot list the Secrets of {self.name}: {_last_line(done.stderr)}")
        rows = (line.split() for line in done.stdout.splitlines() if line.strip())
        return {name: set(keys) for name, *keys in rows}

    def create(self, wanted: Wanted, values: Values) -> bool:
        """Create a Secret; False when it was there already, maybe since a moment ago. Never changes one."""
        manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": wanted.type,
            "metadata": {
                "name": wanted.name,
                "namespace": self.name,
                "labels": {"app.kubernetes.io/part-of": "redprint", "app.kubernetes.io/managed-by": "make-secrets"},
            },
            "data": {key: base64.b64encode(value).decode() for key, value in values.items()},
        }
        done = self._run("create", "--filename=-", stdin=json.dumps(manifest))
        if done.returncode == 0:
            return True
        if "(AlreadyExists)" in done.stderr:
            return False
        raise Stop(f"cannot create {wanted.name}: {_last_line(done.stderr)}")

    def certificate(self, secret: str, key: str) -> bytes:
        """Return a certificate out of a Secret: the one kind of value that is public."""
        template = f'{{{{index .data "{key}"}}}}'
        done = self._run("get", "secret", secret, f"--output=go-template={template}")
        if done.returncode != 0:
            raise Stop(f"cannot read {key} of {secret}: {_last_line(done.stderr)}")
        return base64.b64decode(done.stdout)

    def _run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return _kubectl("--namespace", self.name, *arguments, stdin=stdin)


def _kubectl(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    command = ["kubectl", f"--request-timeout={TIMEOUT_SECONDS}s", *arguments]
    try:
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise Stop("kubectl is missing; scripts/tools installs it into .local/bin") from error


def _last_line(stderr: str) -> str:
    lines = stderr.strip().splitlines()
    return lines[-1] if lines else "no reason given"
