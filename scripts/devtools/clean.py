"""scripts/clean: delete what local runs keep, and whatever a killed one left running on it."""

import shutil

from devtools import say
from devtools.mysql.server import OwnServer
from devtools.paths import LOCAL
from devtools.processes import end, marked
from devtools.run.lock import only_run


def main() -> int:
    """Delete .local/; 1 with one line if a run is using it or it cannot be deleted."""
    if not LOCAL.exists():
        return 0
    try:
        with only_run(LOCAL):
            end(marked(LOCAL), grace_seconds=1)
            OwnServer(LOCAL / "mysql", port=0).discard()
            shutil.rmtree(LOCAL)
    except say.Stop as problem:
        say.note(f"make clean: {problem}")
        return 1
    except OSError as error:
        say.note(f"make clean: {error.filename} cannot be deleted ({error.strerror}); delete it as its owner")
        return 1
    return 0
