"""The directory through which processes of one service share their metrics.

prometheus_client looks for it when it is first imported, so this is called before that and imports nothing of it.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def prepare_metrics_dir(env: MutableMapping[str, str] = os.environ) -> Path:
    """Return an empty directory for the metric files of this service and name it in `env`.

    The one PROMETHEUS_MULTIPROC_DIR names is made where it is missing and emptied of metric files: counts of
    processes that are gone would be added to the new ones. Without it the directory is a temporary one, which
    goes with this process.
    """
    named = env.get(VARIABLE)
    directory = Path(named) if named else _make_temporary()
    directory.mkdir(parents=True, exist_ok=True)
    for file in directory.glob("*.db"):
        file.unlink(missing_ok=True)
    env[VARIABLE] = str(directory)
    return directory


def _make_temporary() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="redprint-metrics-"))
    atexit.register(_remove, directory, os.getpid())
    return directory


def _remove(directory: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked child inherits what its parent does at exit
        shutil.rmtree(directory, ignore_errors=True)
