"""The states of a job, and which of them are final."""

from enum import StrEnum


class JobState(StrEnum):
    """Where a job is. `transitions` holds every way from one state to another."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """A permanent error: trying again would not help."""
    CANCELLED = "cancelled"
    DEAD = "dead"
    """Attempts or crashes are used up; a person has to look."""

    @property
    def is_final(self) -> bool:
        return self not in {JobState.QUEUED, JobState.RUNNING}


class EffectState(StrEnum):
    """What is known of an effect outside the database."""

    INTENT = "intent"
    """It may have happened: it was about to, and nobody wrote down the end."""
    DONE = "done"


class Outcome(StrEnum):
    """How one attempt at a job ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DEAD = "dead"
    CANCELLED = "cancelled"
    RETRIED = "retried"
    RELEASED = "released"
    """The worker was told to stop; the job goes on elsewhere."""
    CRASHED = "crashed"
    """The worker went silent and its lease ran out."""
