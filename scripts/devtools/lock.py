"""Compile the locks: what runs, from the packages' pyproject.toml; tools and charts' checks, from their .in files."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from devtools import say
from devtools.paths import ROOT, package_folders

RUNTIME_LOCK = "requirements.lock"
# Each has a file of the same name that ends in .in.
TOOL_LOCKS = ("requirements-dev.lock", "requirements-charts.lock")
OWN_PREFIX = "redprint-"

COMPILE = [
    "pip", "compile", "--quiet",
    "--universal", "--python-version", "3.11",
    "--generate-hashes",
    # A lock is for every machine: it names neither an index nor the command line of the one that made it.
    "--no-emit-index-url", "--no-emit-find-links", "--custom-compile-command", "make lock",
]  # fmt: skip


def declared_requirements(folders: list[Path]) -> list[str]:
    """Return what the packages declare, sorted, once each: dependencies and build back ends, not each other."""
    found: set[str] = set()
    for folder in folders:
        project: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())
        found.update(project["project"].get("dependencies", ()))
        found.update(project["build-system"]["requires"])
    return sorted(line for line in found if not line.startswith(OWN_PREFIX))


def main() -> int:
    """Write all locks; pins that still fit stay unless UPGRADE is `all` or names a distribution."""
    requirements = "\n".join(declared_requirements(package_folders())) + "\n"
    upgrade = _upgrade_options(os.environ.get("UPGRADE", ""))
    compiled = _compile([*upgrade, "--output-file", RUNTIME_LOCK, "-"], requirements)
    for lock in TOOL_LOCKS:
        if compiled == 0:
            source = str(Path(lock).with_suffix(".in"))
            compiled = _compile([*upgrade, "-c", RUNTIME_LOCK, "--output-file", lock, source], None)
    if compiled != 0:
        say.note("lock: nothing was compiled; uv's message is above. It needs the network.")
    return compiled


def _upgrade_options(wanted: str) -> list[str]:
    if wanted == "all":
        return ["--upgrade"]
    return [option for name in wanted.split() for option in ("--upgrade-package", name)]


def _compile(arguments: list[str], input_text: str | None) -> int:
    command = [sys.executable, "-m", "uv", *COMPILE, *arguments]
    return subprocess.run(command, cwd=ROOT, input=input_text, text=True, check=False, stdout=sys.stderr).returncode
