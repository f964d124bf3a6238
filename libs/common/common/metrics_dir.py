"""The directory through which processes of one service share their metrics.

prometheus_client looks for it when it is first imported, so this is called before that and imports nothing of it.
"""

import os
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def prepare_metrics_dir(env: MutableMapping[str, str] = os.environ) -> Path:
    """Return an empty directory for the metric files of this service and name it in `env`.

    The one PROMETHEUS_MULTIPROC_DIR names is made where it is missing and emptied of metric files: counts of
    processes that are gone would be added to the new ones. Without it a temporary directory is made, which the
    caller removes at the end.
    """
    named = env.get(VARIABLE)
    directory = Path(named) if named else Path(tempfile.mkdtemp(prefix="redprint-metrics-"))
    directory.mkdir(parents=True, exist_ok=True)
    for file in directory.glob("*.db"):
        file.unlink(missing_ok=True)
    env[VARIABLE] = str(directory)
    return directory
