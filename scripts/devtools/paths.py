"""Where things are in this repository."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
LOCAL = Path(os.environ.get("REDPRINT_LOCAL") or ROOT / ".local")


def package_folders() -> list[Path]:
    """Return the folders of all local packages, libraries first."""
    return [path.parent for kind in ("libs", "services") for path in sorted((ROOT / kind).glob("*/pyproject.toml"))]
