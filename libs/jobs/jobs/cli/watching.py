"""Jobs as they run: counts and progress bars on a terminal, a line a look for everything else."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import click
from common.clock import utc_now
from common.db import Database

from jobs.cli import texts
from jobs.cli.output import on_terminal, rich_table
from jobs.models import Job
from jobs.states import JobState
from jobs.use_cases.counting import OPEN, Stats, read_stats
from jobs.use_cases.inspecting import Wanted, list_all_jobs

if TYPE_CHECKING:
    from rich.console import Group
    from rich.progress import Progress


@dataclass(frozen=True)
class Look:
    """The store at one moment: counts, and some of the jobs that run, the newest first."""

    at: datetime
    stats: Stats
    running: list[Job]

    @property
    def summary(self) -> str:
        """In a line."""
        counts = ", ".join(f"{self.stats.total(state)} {state.value}" for state in reversed(OPEN))
        return f"{self.at:%H:%M:%SZ}  {counts}; {texts.waits(self.stats)}"


def watch_store(database: Database, *, every: float, limit: int, until_idle: bool, as_json: bool) -> None:
    """Show one look after the other, `every` seconds apart, until Ctrl-C or until nothing is left to do."""
    looks = _looks(database, every, limit, until_idle=until_idle)
    with suppress(KeyboardInterrupt):
        if as_json:
            for look in looks:
                click.echo(json.dumps(_as_json(look)))
        elif on_terminal():
            _show_live(looks)
        else:
            _print_changes(looks)


def _looks(database: Database, every: float, limit: int, *, until_idle: bool) -> Iterator[Look]:
    while True:
        with database.read() as session:
            stats = read_stats(session)
            running, _ = list_all_jobs(session, Wanted(JobState.RUNNING), limit, None)
        yield Look(utc_now(), stats, running)
        if until_idle and stats.is_idle:
            return
        time.sleep(every)


def _print_changes(looks: Iterator[Look]) -> None:
    said: set[str] = set()
    for look in looks:
        lines = [f"  {job.id}  {texts.clean(job.kind)}  {texts.progress(job)}" for job in look.running]
        new = [line for line in lines if line not in said]
        if new or not said or look.summary[11:] not in said:
            click.echo(look.summary)
        for line in new:
            click.echo(line)
        said = {look.summary[11:], *lines}


def _show_live(looks: Iterator[Look]) -> None:
    from rich.live import Live  # noqa: PLC0415 - only for a terminal

    with Live(refresh_per_second=4, transient=False) as live:
        for look in looks:
            live.update(_draw(look))


def _draw(look: Look) -> "Group":
    from rich.console import Group  # noqa: PLC0415 - only for a terminal
    from rich.text import Text  # noqa: PLC0415

    counts = texts.rows_of(look.stats.counts, "state", "kind", "queue", "jobs")
    return Group(Text(look.summary), rich_table(("STATE", "KIND", "QUEUE", "JOBS"), counts), _bars(look.running))


def _bars(running: list[Job]) -> "Progress":
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415 - only for a terminal

    columns = ("{task.description}", "{task.fields[kind]}", BarColumn(), "{task.fields[text]}")
    bars = Progress(*(TextColumn(each, markup=False) if isinstance(each, str) else each for each in columns))
    for job in running:
        done, total = (job.progress or {}).get("done", 0), (job.progress or {}).get("total")
        bars.add_task(str(job.id), total=total, completed=done, kind=texts.clean(job.kind), text=texts.progress(job))
    return bars


def _as_json(look: Look) -> dict[str, object]:
    return {
        "at": look.at.isoformat().replace("+00:00", "Z"),
        "counts": [vars(count) for count in look.stats.counts],
        "oldest_due_seconds": look.stats.oldest_due_seconds,
        "running": [{"id": str(job.id), "kind": job.kind, "progress": job.progress} for job in look.running],
    }
