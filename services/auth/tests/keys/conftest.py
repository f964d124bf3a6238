"""Directories of keys, as people and the kubelet make them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from auth_service.keys import changes
from auth_service.keys.pem import new_signing_key
from auth_service.keys.refresh import new_refresh_key

WritePlan = Callable[[Path, dict[str, str | None]], None]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory that `flask keys init` made."""
    path = tmp_path / "keys"
    changes.init(path)
    return path


@pytest.fixture
def write_plan() -> WritePlan:
    """Writes a manifest, and the files it names where they are missing."""

    def write(directory: Path, plan: dict[str, str | None]) -> None:
        directory.mkdir(exist_ok=True)
        for name in plan:
            if not (directory / name).exists():
                (directory / name).write_bytes(new_signing_key("ES256") if name.endswith(".pem") else new_refresh_key())
        keys = [{"file": name, "sign_from": sign_from} for name, sign_from in plan.items()]
        (directory / "manifest.json").write_text(json.dumps({"keys": keys}))

    return write
