"""Runs jobs: `python -m worker_service.worker`. Stops on SIGTERM or Ctrl-C after the soft window, losing nothing."""

import os
import shutil

from common.metrics_dir import prepare_metrics_dir


def main() -> int:
    """Run until told to stop; return the exit status."""
    # Read by billiard when it is imported: SIGTERM then ends a running job after the soft window instead of never.
    os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")
    metrics_dir = prepare_metrics_dir()
    from worker_service.program import run  # noqa: PLC0415 - both lines above have to come before these imports

    try:
        return run()
    finally:
        shutil.rmtree(metrics_dir, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
