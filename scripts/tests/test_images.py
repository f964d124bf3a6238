"""Images: each holds the packages its service needs, and their names say what is in them."""

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ("auth", "api", "worker")
FOLDERS = {folder.name: folder for folder in (*ROOT.glob("libs/*"), *ROOT.glob("services/*"))}


def packages_of(service: str) -> set[str]:
    """The folders of the service and of all packages of this repository it needs."""
    wanted, found = [service], set[str]()
    while wanted:
        folder = FOLDERS[wanted.pop()]
        found.add(str(folder.relative_to(ROOT)))
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        wanted += [each.removeprefix("redprint-") for each in project["dependencies"] if each.startswith("redprint-")]
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_the_packages_its_service_declares(service: str) -> None:
    dockerfile = (ROOT / "services" / service / "Dockerfile").read_text()
    wanted = packages_of(service)
    copied = set(re.findall(r"^COPY (\S+) \1$", dockerfile, re.MULTILINE))
    assert copied == wanted
    assert set(re.findall(r"^COPY (\S+)/pyproject.toml \1/$", dockerfile, re.MULTILINE)) == wanted
    assert set(re.findall(r"(\S+)/pyproject.toml(?= [^\n]*\\\n)", dockerfile)) == wanted
    assert set(re.findall(r" \./(\S+)", dockerfile)) == wanted
    assert set(re.findall(r"^COPY --chown=10001:10001 (\S+) /app/\1$", dockerfile, re.MULTILINE)) == wanted
    (path,) = re.findall(r"PYTHONPATH=(/app\S+)", dockerfile)
    assert {each.removeprefix("/app/") for each in path.split(":")} == wanted


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_runs_as_a_numeric_user_without_a_shell_between(service: str) -> None:
    dockerfile = (ROOT / "services" / service / "Dockerfile").read_text()
    for stage in ("dev", "runtime"):
        (text,) = re.findall(rf" AS {stage}\n(.*?)(?=\nFROM |\Z)", dockerfile, re.DOTALL)
        assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["10001:10001"]
        assert re.findall(r"^CMD (.)", text, re.MULTILINE) == ["["]
    assert dockerfile.count("\nFROM ") == 5
    assert dockerfile.rindex("\nFROM ") == dockerfile.index("\nFROM ${PYTHON_IMAGE} AS runtime")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with the script and a few files."""
    for path in ("libs/a/a.py", "services/auth/b.py", "services/auth/tests/test_b.py", "docs/c.md"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("1\n")
    for path in ("requirements.lock", ".dockerignore"):
        shutil.copy(ROOT / path, tmp_path)
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/images", tmp_path / "scripts")
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")


def images(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("TAG", "IMAGE_REGISTRY", "TARGET")}
    return subprocess.run(
        [folder / "scripts/images", *arguments], env={**kept, **env}, capture_output=True, text=True, check=False
    )


def tag_of(folder: Path) -> str:
    return images(folder, "tag").stdout.strip()


def test_a_tag_names_the_commit_until_something_an_image_holds_is_changed(checkout: Path) -> None:
    clean = f"git-{git(checkout, 'rev-parse', 'HEAD')[:12]}"
    assert tag_of(checkout) == clean
    (checkout / "docs/c.md").write_text("2\n")
    assert tag_of(checkout) == clean
    (checkout / "libs/a/a.py").write_text("2\n")
    dirty = tag_of(checkout)
    assert re.fullmatch(rf"{clean}-dirty-[0-9a-f]{{8}}", dirty)
    (checkout / "libs/a/new.py").write_text("3\n")
    assert tag_of(checkout) not in (clean, dirty)
    (checkout / "libs/a/new.py").unlink()
    assert tag_of(checkout) == dirty
    (checkout / "libs/a/a.py").unlink()
    assert tag_of(checkout) not in (clean, dirty)


def test_without_a_commit_the_files_make_the_tag(checkout: Path) -> None:
    shutil.rmtree(checkout / ".git")
    done = images(checkout, "tag")
    assert re.fullmatch(r"files-[0-9a-f]{12}", done.stdout.strip())
    assert "no commit" in done.stderr


def test_names_are_made_of_registry_service_and_tag(checkout: Path) -> None:
    assert images(checkout, "names", TAG="v1").stdout.split() == [f"redprint/{each}:v1" for each in SERVICES]
    named = images(checkout, "names", "TAG=v1", "TARGET=dev", "IMAGE_REGISTRY=r.example/team").stdout.split()
    assert named == [f"r.example/team/redprint/{each}:v1-dev" for each in SERVICES]


@pytest.fixture
def programs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[str, Path]]:
    """Stand-ins of docker and the local clusters' programs that write down what they are asked."""

    def make(context: str) -> tuple[str, Path]:
        folder = tmp_path_factory.mktemp("bin")
        for name in ("docker", "kind", "k3d", "minikube"):
            (folder / name).write_text(f'#!/bin/sh\necho {name} "$@" >> {folder}/asked\n')
        (folder / "kubectl").write_text(f"#!/bin/sh\necho {context}\n")
        for each in folder.iterdir():
            each.chmod(0o755)
        return f"{folder}:/usr/bin:/bin", folder / "asked"

    return make


@pytest.mark.parametrize(
    ("context", "asked"),
    [
        ("kind-dev", ["kind load docker-image --name dev redprint/auth:v1 redprint/api:v1 redprint/worker:v1"]),
        ("k3d-dev", ["k3d image import --cluster dev redprint/auth:v1 redprint/api:v1 redprint/worker:v1"]),
        ("minikube", [f"minikube --profile minikube image load redprint/{each}:v1" for each in SERVICES]),
    ],
)
def test_images_go_to_the_cluster_of_the_current_context(
    checkout: Path, programs: Callable[[str], tuple[str, Path]], context: str, asked: list[str]
) -> None:
    path, log = programs(context)
    assert images(checkout, "load", PATH=path, TAG="v1").returncode == 0
    assert log.read_text().splitlines() == asked


def test_a_cluster_that_is_not_local_is_refused(checkout: Path, programs: Callable[[str], tuple[str, Path]]) -> None:
    path, log = programs("production-eu")
    done = images(checkout, "load", PATH=path, TAG="v1")
    assert done.returncode == 1
    assert "production-eu is no local cluster" in done.stderr
    assert not log.exists()


def test_each_image_is_built_from_its_dockerfile_and_told_its_release(
    checkout: Path, programs: Callable[[str], tuple[str, Path]]
) -> None:
    path, log = programs("kind-dev")
    assert images(checkout, "build", PATH=path, TAG="v1", PYTHON_IMAGE="python:x").returncode == 0
    head = git(checkout, "rev-parse", "HEAD")
    assert log.read_text().splitlines()[1:] == [
        f"docker build --quiet --target runtime --build-arg PYTHON_IMAGE=python:x --build-arg RELEASE=v1"
        f" --build-arg REVISION={head} --tag redprint/{each}:v1 --file services/{each}/Dockerfile ."
        for each in SERVICES
    ]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["push"], "IMAGE_REGISTRY is not set"),
        (["build", "TARGET=test"], "TARGET=test is unknown"),
        ([], "scripts/images tag"),
        (["deploy"], "scripts/images tag"),
    ],
)
def test_what_cannot_be_done_is_said(checkout: Path, arguments: list[str], fault: str) -> None:
    done = images(checkout, *arguments)
    assert done.returncode != 0
    assert fault in done.stderr
