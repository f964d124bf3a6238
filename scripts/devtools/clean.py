"""scripts/clean: delete what local runs keep, and whatever a killed one left running on it. Fetched tools stay."""

import shutil
from pathlib import Path

from devtools import say
from devtools.mysql.server import OwnServer
from devtools.paths import LOCAL
from devtools.processes import end, marked
from devtools.run.lock import only_run

# helm, kubectl and the environment of the charts' checks: no run made them, and offline they would not come back.
TOOLS = ("bin", "charts-venv")


def main() -> int:
    """Delete what is in .local/ but for TOOLS; 1 with one line if a run is using it or it cannot be deleted."""
    if not LOCAL.exists():
        return 0
    try:
        with only_run(LOCAL):
            end(marked(LOCAL), grace_seconds=1)
            OwnServer(LOCAL / "mysql", port=0).discard()
            _delete_all_but(LOCAL, TOOLS)
    except say.Stop as problem:
        say.note(f"make clean: {problem}")
        return 1
    except OSError as error:
        say.note(f"make clean: {error.filename} cannot be deleted ({error.strerror}); delete it as its owner")
        return 1
    return 0


def _delete_all_but(folder: Path, kept: tuple[str, ...]) -> None:
    for path in list(folder.iterdir()):
        if path.name in kept:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()
