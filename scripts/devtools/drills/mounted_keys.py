"""Keys that an operator changes in one folder and auth sees in another, which is laid out as the kubelet does it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any


class MountedKeys:
    """`source` is the operator's; `mount` holds links through `..data`, a link to a folder of one version."""

    def __init__(self, source: Path, mount: Path) -> None:
        self.source, self.mount = source, mount
        self._version = 0

    def flask(self, command: str, *arguments: str) -> str:
        """Run `flask keys` on the source and return what it prints."""
        words = [sys.executable, "-m", "flask", "keys", command, "--dir", str(self.source), *arguments]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout

    def listed(self) -> list[dict[str, Any]]:
        """Return the keys of the source in the order of their use, as `flask keys list` describes them."""
        found: list[dict[str, Any]] = json.loads(self.flask("list", "--json"))["keys"]
        return found

    def sign_from(self, file: str, moment: datetime) -> None:
        """Write into the plan of the source that a key is used from another moment on."""
        manifest = self.source / "manifest.json"
        plan = json.loads(manifest.read_text(encoding="utf-8"))
        for entry in plan["keys"]:
            if entry["file"] == file:
                entry["sign_from"] = moment.isoformat()
        manifest.write_text(json.dumps(plan), encoding="utf-8")

    def apply(self, spoiled: Mapping[str, bytes] | None = None) -> None:
        """Mount what the source holds, with other contents for the `spoiled` files, at one stroke."""
        self._version += 1
        version = self.mount / f"..version-{self._version}"
        shutil.copytree(self.source, version)
        for name, content in (spoiled or {}).items():
            (version / name).write_bytes(content)
        link, next_link = self.mount / "..data", self.mount / "..data_tmp"
        before = link.resolve() if link.is_symlink() else None
        next_link.symlink_to(version.name)
        os.replace(next_link, link)
        self._link_names(version)
        if before is not None:
            shutil.rmtree(before)

    def _link_names(self, version: Path) -> None:
        names = {path.name for path in version.iterdir()}
        for name in names:
            if not (self.mount / name).is_symlink():
                (self.mount / name).symlink_to(f"..data/{name}")
        for path in self.mount.iterdir():
            if not path.name.startswith("..") and path.name not in names:
                path.unlink()
