"""scripts/deploy and scripts/prepare-namespace, with a kubectl, helm and docker that write down what they are asked."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Knows one context, and the priority classes in the file beside it; as kubectl does, it says what is missing by name.
KUBECTL = """\
#!/bin/bash
here=$(dirname "$0")
echo "kubectl $*" >>"$here/asked"
case "$*" in
    "config current-context") cat "$here/context" ;;
    "get priorityclass "*)
        grep -qx "$3" "$here/classes" && exit
        [ ! -e "$here/may-not-look" ] || { echo 'Error from server (Forbidden): no' >&2; exit 1; }
        echo "Error from server (NotFound): priorityclasses \\"$3\\" not found" >&2
        exit 1 ;;
    "kustomize "*) [ ! -e "$here/broken" ] || exit 1 ;;
    "apply "*) cat >/dev/null ;;
esac
"""
HELM = """\
#!/bin/bash
[ "$1" = version ] && echo v4.3.1 && exit
echo "helm $*" >>"$(dirname "$0")/asked"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The scripts, what they read, and a folder `bin` of stand-ins; Secrets are somebody else's subject."""
    for name in ("deploy", "prepare-namespace", "images", "tools"):
        (tmp_path / "scripts").mkdir(exist_ok=True)
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts")
    shutil.copytree(ROOT / "k8s", tmp_path / "k8s")
    for values in ROOT.glob("charts/*/values-*.yaml"):
        (tmp_path / "charts" / values.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(values, tmp_path / "charts" / values.parent.name)
    folder = tmp_path / "bin"
    folder.mkdir()
    docker = '#!/bin/sh\necho "docker $*" >>"$(dirname "$0")/asked"\n'
    for path, text in (
        (folder / "kubectl", KUBECTL),
        (folder / "helm", HELM),
        (folder / "docker", docker),
        (folder / "kind", docker.replace("docker", "kind")),
        (tmp_path / "scripts/make-secrets", '#!/bin/sh\necho "make-secrets $*" >>bin/asked\n'),
    ):
        path.write_text(text)
        path.chmod(0o755)
    (folder / "context").write_text("kind-dev\n")
    (folder / "classes").write_text("redprint-data\n")
    (folder / "asked").touch()
    return tmp_path


def run(checkout: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    ours = ("ENV", "NAMESPACE", "TAG", "IMAGE_REGISTRY", "CONFIRM", "IMAGES", "TARGET", "TIMEOUT", "PYTHON_IMAGE")
    env = {name: value for name, value in os.environ.items() if name not in ours}
    env["PATH"] = f"{checkout / 'bin'}:{env['PATH']}"
    return subprocess.run(
        [checkout / "scripts" / script, *arguments], env=env, capture_output=True, text=True, check=False
    )


def asked(checkout: Path, *beginnings: str) -> list[str]:
    return [line for line in (checkout / "bin/asked").read_text().splitlines() if line.startswith(beginnings)]


def test_releases_come_in_order_after_images_namespace_and_secrets(checkout: Path) -> None:
    done = run(checkout, "deploy", "ENV=staging", "TAG=v1")
    assert done.returncode == 0, done.stderr
    words = [
        line.split() for line in asked(checkout, "docker build", "kind load", "kubectl apply", "make-", "helm upg")
    ]
    order = ["build", "build", "build", "load", "apply", "mysql", "valkey", "auth", "api", "worker"]
    assert [each[3] if each[0] == "helm" else each[1] for each in words if each[0] != "make-secrets"] == order


@pytest.mark.parametrize("context", ["docker-desktop", "rancher-desktop", "orbstack"])
def test_a_cluster_that_shares_its_engines_images_needs_no_registry(checkout: Path, context: str) -> None:
    (checkout / "bin/context").write_text(f"{context}\n")
    assert run(checkout, "deploy", "ENV=development", "TAG=v1").returncode == 0
    assert len(asked(checkout, "docker build")) == 3
    assert len(asked(checkout, "helm upgrade")) == 5


def test_another_cluster_is_refused_without_a_registry_to_pull_from(checkout: Path) -> None:
    (checkout / "bin/context").write_text("eu-1\n")
    done = run(checkout, "deploy", "ENV=staging", "TAG=v1")
    assert done.returncode == 1
    assert "IMAGE_REGISTRY" in done.stderr
    assert not asked(checkout, "kubectl apply", "helm upgrade", "docker", "make-secrets")


@pytest.mark.parametrize("script", ["deploy", "prepare-namespace"])
@pytest.mark.parametrize("confirm", [[], ["CONFIRM=eu-2"]])
def test_production_is_left_alone_until_its_cluster_is_named(checkout: Path, script: str, confirm: list[str]) -> None:
    (checkout / "bin/context").write_text("eu-1\n")
    given = ["ENV=production", "TAG=v1", "IMAGE_REGISTRY=r.example"]
    done = run(checkout, script, *given, *confirm)
    assert done.returncode == 1
    assert "CONFIRM=eu-1" in done.stderr
    assert not asked(checkout, "kubectl apply", "helm upgrade", "make-secrets")
    assert run(checkout, script, *given, "CONFIRM=eu-1").returncode == 0
    assert asked(checkout, "make-secrets") == ["make-secrets --check"]


def test_a_priority_class_that_is_missing_is_named_before_anything_is_done(checkout: Path) -> None:
    (checkout / "bin/classes").write_text("")
    given = ["ENV=production", "TAG=v1", "IMAGE_REGISTRY=r.example", "CONFIRM=kind-dev", "IMAGES=ready"]
    done = run(checkout, "deploy", *given)
    assert done.returncode == 1
    assert "PriorityClass redprint-data" in done.stderr
    assert "kubectl apply -k k8s/cluster" in done.stderr
    assert not asked(checkout, "kubectl apply", "helm upgrade", "docker", "make-secrets")
    # Who may not look at them may still deploy.
    (checkout / "bin/may-not-look").touch()
    assert run(checkout, "deploy", *given).returncode == 0


def test_an_overlay_that_cannot_be_built_leaves_no_folder_and_makes_no_secrets(checkout: Path) -> None:
    (checkout / "bin/broken").touch()
    assert run(checkout, "prepare-namespace", "ENV=staging", "NAMESPACE=elsewhere").returncode != 0
    assert not list((checkout / "k8s").glob(".retarget.*"))
    assert not asked(checkout, "make-secrets")
    (checkout / "bin/broken").unlink()
    assert run(checkout, "prepare-namespace", "ENV=staging", "NAMESPACE=elsewhere").returncode == 0
    assert not list((checkout / "k8s").glob(".retarget.*"))


@pytest.mark.parametrize("name", ["deploy", "prepare-namespace", "images", "tools", "cluster-e2e", "charts-check"])
def test_a_script_for_everybody_runs_on_the_bash_of_macos(name: str) -> None:
    """Which is 3.2, and knows none of these."""
    text = "\n".join(line.partition(" # ")[0] for line in (ROOT / "scripts" / name).read_text().splitlines())
    for newer in ("mapfile", "readarray", "declare -A", "local -n", ",,}", "^^}", "&>>", "|&", "wait -n", "coproc"):
        assert newer not in text
