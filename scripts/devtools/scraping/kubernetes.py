"""What the check asks of kubectl and helm: objects as JSON, rendered charts, a port of a pod."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from devtools.paths import ROOT
from devtools.say import Stop

Object = dict[str, Any]
TIMEOUT_SECONDS = 120


def run(*command: str, stdin: str | None = None) -> str:
    """Return what a command prints. Raises Stop with the end of its complaint."""
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS, cwd=ROOT
        )
    except FileNotFoundError as error:
        raise Stop(f"{command[0]} is not on PATH (scripts/tools fetches helm and kubectl)") from error
    except subprocess.TimeoutExpired as error:
        raise Stop(f"no answer within {TIMEOUT_SECONDS} s: {' '.join(command)}") from error
    if done.returncode != 0:
        raise Stop(f"{' '.join(command[:4])} ...: {done.stderr.strip().splitlines()[-1:] or 'failed'}")
    return done.stdout


def get(kind: str, namespace: str) -> list[Object]:
    """Return all objects of a kind in a namespace."""
    items: list[Object] = json.loads(run("kubectl", "get", kind, "--namespace", namespace, "--output=json"))["items"]
    return items


def get_one(kind: str, name: str, namespace: str) -> Object:
    """Return one object. Raises Stop where it is not there."""
    found: Object = json.loads(run("kubectl", "get", kind, name, "--namespace", namespace, "--output=json"))
    return found


def apply(*objects: Object) -> None:
    """Create or change objects."""
    run("kubectl", "apply", "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def rendered_for_the_operator(namespace: str) -> list[Object]:
    """Return what the namespace's releases would consist of with metrics.mode operator, on their own values."""
    objects: list[Object] = []
    for release in json.loads(run("helm", "list", "--namespace", namespace, "--output=json")):
        chart = re.sub(r"-\d+\.\d+\.\d+.*$", "", release["chart"])
        defaults = ROOT / "charts" / chart / "values.yaml"
        # A chart of somebody else's, or one without metrics, as valkey.
        if not defaults.is_file() or not re.search(r"^metrics:", defaults.read_text(), re.MULTILINE):
            continue
        values = run("helm", "get", "values", release["name"], "--namespace", namespace, "--output=json")
        objects += _render(release["name"], chart, namespace, values)
    return objects


def _render(release: str, chart: str, namespace: str, values: str) -> list[Object]:
    manifests = run(
        "helm", "template", release, f"charts/{chart}", "--dependency-update", "--no-hooks", "--namespace", namespace,
        "--values=-", "--set=metrics.mode=operator", stdin=values if values.strip() != "null" else "{}",
    )  # fmt: skip
    # kubectl reads YAML and writes JSON without asking a server, whatever the kind; no YAML library is needed here.
    # Helm says how it gets the chart's dependencies on the same stream, before the first document.
    _, separator, documents = manifests.partition("---\n")
    if not separator:
        raise Stop(f"charts/{chart} renders nothing")
    text = run("kubectl", "label", "--local", "--filename=-", "--output=json", "read=yes", stdin=documents)
    return list(_documents(text))


def _documents(text: str) -> Iterator[Object]:
    decoder, position = json.JSONDecoder(), 0
    while position < len(text):
        document, position = decoder.raw_decode(text, position)
        yield document
        position += len(text[position:]) - len(text[position:].lstrip())


@contextmanager
def forwarded(target: str, port: int, namespace: str) -> Iterator[str]:
    """Make a port of a pod or service reachable while the block runs; yields its URL."""
    command = ["kubectl", "port-forward", "--namespace", namespace, target, f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            match = re.search(r"127\.0\.0\.1:(\d+)", line)
            if match is None:
                process.terminate()
                _, complaint = process.communicate()
                raise Stop(f"cannot reach {target} in {namespace}: {complaint.strip()}")
            yield f"http://127.0.0.1:{match[1]}"
        finally:
            process.terminate()
