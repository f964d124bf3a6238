"""The worker's program with the kinds of drills: `python -m devtools.drills.jobs.worker`.

DRILL_CLOCK_SECONDS sets its clock forward or back, DRILL_KINDS=next makes it the worker of the next release.
"""

import os
import time

_AHEAD_SECONDS = float(os.environ.get("DRILL_CLOCK_SECONDS", "0"))
if _AHEAD_SECONDS:
    _true_time = time.time
    # Before anything else takes it from here.
    time.time = lambda: _true_time() + _AHEAD_SECONDS

from worker_service import tasks  # noqa: E402
from worker_service.worker import main  # noqa: E402

from devtools.drills.jobs.kinds import KINDS, NEXT_KINDS  # noqa: E402

tasks.KINDS = NEXT_KINDS if os.environ.get("DRILL_KINDS") == "next" else KINDS

if __name__ == "__main__":
    raise SystemExit(main())
