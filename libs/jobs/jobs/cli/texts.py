"""Jobs in words: the cells of tables, fit for a terminal."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from jobs.models import Job
from jobs.use_cases.counting import Stats

NOTHING = "-"


def clean(text: object) -> str:
    """The text without characters that would command the terminal: errors may quote what users sent."""
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in str(text))


def moment(at: datetime | None) -> str:
    """To the second, in UTC."""
    return NOTHING if at is None else at.strftime("%Y-%m-%d %H:%M:%SZ")


def duration(seconds: float) -> str:
    """In the unit that fits."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def progress(job: Job) -> str:
    """As 300/1000 rows."""
    if job.progress is None:
        return NOTHING
    total = job.progress.get("total")
    return clean(f"{job.progress['done']}{'' if total is None else f'/{total}'} {job.progress['unit']}")


def error_code(job: Job) -> str:
    """What the last attempt failed of."""
    return NOTHING if job.error is None else clean(job.error["code"])


LIST_COLUMNS = ("ID", "STATE", "KIND", "ATTEMPTS", "PROGRESS", "ACCEPTED", "ENDED", "ERROR")


def list_row(job: Job) -> tuple[str, ...]:
    """The cells below LIST_COLUMNS."""
    return (
        str(job.id),
        job.state.value,
        clean(job.kind),
        f"{job.attempt}/{job.max_attempts}",
        progress(job),
        moment(job.created_at),
        moment(job.finished_at),
        error_code(job),
    )


def facts(job: Job) -> Iterable[tuple[str, str]]:
    """All of a job that is known, a name and a text each."""
    yield "id", str(job.id)
    yield "kind", clean(f"{job.kind} version {job.kind_version}")
    yield "owner", str(job.owner_id)
    yield "state", job.state.value
    yield "queue", clean(f"{job.queue}, priority {job.priority}")
    yield "attempts", f"{job.attempt} of {job.max_attempts}; {job.crash_count} crashes since it last got on"
    yield "progress", progress(job)
    yield "error", NOTHING if job.error is None else clean(f"{job.error['code']}: {job.error['message']}")
    yield "worker", clean(job.worker or NOTHING)
    for name in ("created_at", "run_after", "started_at", "lease_until", "deadline_at"):
        yield name, moment(getattr(job, name))
    yield "cancel_requested", _cancel_requested(job)
    yield "finished_at", moment(job.finished_at)
    by = f"{job.redrive_count} times, last {moment(job.redriven_at)} by {job.redriven_by}"
    yield "redriven", clean(by) if job.redrive_count else "never"


def _cancel_requested(job: Job) -> str:
    if job.cancel_requested_at is None:
        return NOTHING
    return clean(f"{moment(job.cancel_requested_at)} by {job.cancel_requested_by or 'its owner'}")


def rows_of(things: Iterable[Any], *names: str) -> list[tuple[str, ...]]:
    """These attributes of each, as cells."""
    return [tuple(_cell(getattr(thing, name)) for name in names) for thing in things]


def waits(stats: Stats) -> str:
    """How long the oldest due job of each queue waits, in a line."""
    if not stats.oldest_due_seconds:
        return "nothing is due"
    ages = (f"{clean(queue)} {duration(age)}" for queue, age in sorted(stats.oldest_due_seconds.items()))
    return f"oldest due job: {', '.join(ages)}"


def _cell(value: object) -> str:
    if value is None:
        return NOTHING
    return moment(value) if isinstance(value, datetime) else clean(value)
