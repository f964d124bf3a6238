"""What an operator sends and gets. No payload, no checkpoint, no result: those may be the owner's personal data."""

from typing import Literal, Self
from uuid import UUID

from common.db.paging import LimitQuery
from common.web.shapes import Shape, Timestamp, View
from pydantic import Field

from jobs.admin.places import decode_place
from jobs.effects import effect_key
from jobs.models import JobEffect
from jobs.states import EffectState, JobState, Outcome
from jobs.use_cases.inspecting import History, Place, Wanted

MAX_REDRIVEN = 1000
"""In one request: it takes about a second."""


class AdminJobsQuery(LimitQuery):
    """Which jobs to list."""

    state: JobState | None = None
    kind: str | None = Field(default=None, min_length=1, max_length=64)
    owner: UUID | None = None

    @property
    def wanted(self) -> Wanted:
        """Which those are."""
        return Wanted(self.state, self.kind, self.owner)

    @property
    def after_place(self) -> Place | None:
        """The place the page starts after, None for the first page. Raises FieldErrors."""
        return None if self.cursor is None else decode_place(self.cursor)


class ErrorView(View):
    """Why the last attempt failed, as the owner is told."""

    code: str
    message: str


class ProgressView(View):
    """How far a job is; `total` null: not known yet."""

    done: int
    total: int | None
    unit: str


class AdminJobView(View):
    """A job as an operator sees it."""

    id: UUID
    owner_id: UUID
    kind: str
    kind_version: int
    queue: str
    priority: int
    state: JobState
    attempt: int
    max_attempts: int
    crash_count: int
    progress: ProgressView | None
    error: ErrorView | None
    worker: str | None
    """Which took it last."""
    created_at: Timestamp
    run_after: Timestamp
    started_at: Timestamp | None
    lease_until: Timestamp | None
    deadline_at: Timestamp | None
    cancel_requested_at: Timestamp | None
    cancel_requested_by: str | None
    """An operator; None where its owner asked."""
    finished_at: Timestamp | None
    redrive_count: int
    redriven_at: Timestamp | None
    redriven_by: str | None


class AttemptView(View):
    """One attempt; without an end while it runs."""

    fence: int
    attempt: int
    worker: str
    started_at: Timestamp
    ended_at: Timestamp | None
    outcome: Outcome | None


class EffectView(View):
    """Something the job did outside the database, or began to; `key` is how the receiver knows it."""

    step: str
    state: EffectState
    key: str
    external_id: str | None
    intended_at: Timestamp
    done_at: Timestamp | None

    @classmethod
    def of_effect(cls, effect: JobEffect) -> Self:
        """That of a row."""
        row = {name: getattr(effect, name) for name in cls.model_fields if name != "key"}
        return cls.model_validate({**row, "key": effect_key(effect.job_id, effect.step)})


class AdminJobDetails(AdminJobView):
    """A job with all that was tried."""

    attempts: list[AttemptView]
    effects: list[EffectView]

    @classmethod
    def of_history(cls, history: History) -> Self:
        """That of a job and its history."""
        row = {name: getattr(history.job, name) for name in AdminJobView.model_fields}
        attempts = [AttemptView.model_validate(each) for each in history.attempts]
        effects = [EffectView.of_effect(each) for each in history.effects]
        return cls.model_validate({**row, "attempts": attempts, "effects": effects})


class Redrive(Shape):
    """How to run one job again. `open_effects` is for jobs that ended with an unknown outcome: what became of it."""

    open_effects: Literal["repeat", "done"] | None = None


class RedriveMany(Shape):
    """Which jobs to run again, the longest ended first, and how many a second become due."""

    state: Literal["dead", "failed"] = "dead"
    kind: str | None = Field(default=None, min_length=1, max_length=64)
    error_code: str | None = Field(default=None, min_length=1, max_length=64)
    limit: int = Field(default=100, ge=1, le=MAX_REDRIVEN)
    per_second: float = Field(default=10, gt=0, le=1000)


class RedrivenMany(View):
    """How many were queued; call again for more until it is 0."""

    redriven: int
