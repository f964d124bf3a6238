"""Limits of time. A machine that is too busy to tell ends a drill as skipped, with what was measured; so, ask last."""

import pytest

from devtools.drills.jobs.ledger import Verdict

BUSY_SECONDS = 1.0


def hold_to(seconds: float, verdict: Verdict) -> None:
    """No job may be later than that: AssertionError; skipped where all jobs wait, whatever is done to them."""
    if verdict.worst_seconds <= seconds:
        return
    skip_if_all_wait(verdict)
    raise AssertionError(f"{verdict.worst_seconds:.1f} s instead of {seconds} s: {verdict.slowest}")


def skip_if_all_wait(verdict: Verdict) -> None:
    """End the drill as skipped where the job in the middle took a second and more."""
    if verdict.typical_seconds >= BUSY_SECONDS:
        pytest.skip(f"the machine is too busy for limits of time: {verdict}")


def hold_to_twice(before: float, after: float, during: float, slack_seconds: float) -> None:
    """While something is done all may take twice as long as before or after it, and the slack: else AssertionError.

    Skipped where before and after differ as much: then it was something else, or may have been.
    """
    if during <= 2 * max(before, after) + slack_seconds:
        return
    told = f"{before:.3f} s before, {during:.3f} s during, {after:.3f} s after"
    if max(before, after) > 2 * min(before, after) + slack_seconds:
        pytest.skip(f"the machine is too uneven for limits of time: {told}")
    raise AssertionError(told)
