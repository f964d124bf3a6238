"""The commands: what is asked, and in which form it is answered. Each shows what a use case says."""

from collections.abc import Callable, Iterator
from typing import Any, cast
from uuid import UUID

import click
from common.db import Database, run_write
from sqlalchemy.orm import Session

from jobs.cli import texts
from jobs.cli.output import print_facts, print_json, print_table
from jobs.cli.store import ChosenStore
from jobs.cli.watching import watch_store
from jobs.models import Job
from jobs.states import JobState
from jobs.use_cases import counting, inspecting, operating, redriving
from jobs.use_cases.inspecting import Wanted

_PAGE = 100

_ids = click.argument("ids", metavar="ID...", nargs=-1, type=click.UUID)
_kind = click.option("--kind", help="Only those of this kind.")
_json = click.option("--json", "as_json", is_flag=True, help="For programs.")


def _by(command: Callable[..., None]) -> Callable[..., None]:
    option = click.option(
        "--by", envvar=["USER", "LOGNAME"], required=True, show_envvar=True, help="Who you are: it is written down."
    )
    return option(command)


@click.group()
@click.option("--store", help="Which of them, by its name; may be left out where there is one.")
@click.option("--stores", envvar="JOB_STORES", show_envvar=True, help="name=url of each job store, as the worker's.")
@click.option("--tls-ca", envvar="DB_TLS_CA", show_envvar=True, help="CA certificates the database is checked with.")
@click.pass_context
def jobs(context: click.Context, store: str | None, stores: str | None, tls_ca: str | None) -> None:
    """Background jobs of all owners: look at them, run dead ones again, cancel."""
    context.obj = ChosenStore(stores, store, tls_ca)


@jobs.command(name="list")
@click.option("--state", type=click.Choice([state.value for state in JobState]), help="Only those in this state.")
@_kind
@click.option("--owner", type=click.UUID, help="Only those of this owner.")
@click.option("--dead-first", is_flag=True, help="Dead ones first, then failed, running, queued; the last ended first.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="So many at most.")
@_json
@click.pass_obj
def list_jobs(
    store: ChosenStore,
    *,
    state: str | None,
    kind: str | None,
    owner: UUID | None,
    dead_first: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List jobs, newest first; those of one state by their end, the last first."""
    states = [JobState(state)] if state else list(counting.OPEN) if dead_first else [None]
    with store.opened() as database:
        found: list[Job] = []
        for each in states:
            found += _some(_all_of(database, Wanted(each, kind, owner)), limit + 1 - len(found))
    shown = found[:limit]
    if as_json:
        print_json([_as_json(job) for job in shown])
    elif shown:
        print_table(texts.LIST_COLUMNS, [texts.list_row(job) for job in shown])
    else:
        click.echo("No such jobs.", err=True)
    if len(found) > limit:
        click.echo("There are more: --limit.", err=True)


@jobs.command(name="show")
@click.argument("job_id", metavar="ID", type=click.UUID)
@click.option("--payload", "with_payload", is_flag=True, help="Also what the job was told; may be personal data.")
@_json
@click.pass_obj
def show_job(store: ChosenStore, *, job_id: UUID, with_payload: bool, as_json: bool) -> None:
    """Show a job, its attempts, and what it did outside the database."""
    from jobs.admin.views import AdminJobDetails  # noqa: PLC0415 - other commands need not wait for the shapes

    with store.opened() as database, database.read() as session:
        history = inspecting.show_job(session, job_id, with_payload=with_payload)
    details = AdminJobDetails.of_history(history)
    payload = {"payload": history.job.payload} if with_payload else {}
    if as_json:
        print_json(details.model_dump(mode="json") | payload)
        return
    print_facts([*texts.facts(history.job), *((name, texts.clean(value)) for name, value in payload.items())])
    if details.attempts:
        click.echo()
        columns = ("fence", "attempt", "worker", "started_at", "ended_at", "outcome")
        print_table([name.upper() for name in columns], texts.rows_of(details.attempts, *columns))
    if details.effects:
        click.echo()
        columns = ("step", "state", "external_id", "intended_at", "done_at", "key")
        print_table([name.upper() for name in columns], texts.rows_of(details.effects, *columns))


@jobs.command()
@_ids
@click.option("--all", "every", is_flag=True, help="Instead of ids: all that are dead, or as the options below say.")
@click.option("--state", type=click.Choice(["dead", "failed"]), default="dead", show_default=True, help="With --all.")
@_kind
@click.option("--error-code", help="With --all: only those that ended with this code.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="With --all: so many at most."
)
@click.option(
    "--per-second",
    type=click.FloatRange(0, 1000, min_open=True),
    default=10,
    show_default=True,
    help="With --all: how many become due a second; what they died of may still be there.",
)
@click.option(
    "--open-effects",
    type=click.Choice(["repeat", "done"]),
    help="With ids, for jobs that ended with an unknown outcome: it did not happen (repeat), or it did (done).",
)
@click.option("--yes", is_flag=True, help="With --all: do not ask.")
@_by
@click.pass_obj
def redrive(
    store: ChosenStore, /, *, ids: tuple[UUID, ...], every: bool, open_effects: str | None, by: str, **options: Any
) -> None:
    """Run dead or failed jobs again, with new attempts and from where they were."""
    if every == bool(ids):
        raise click.UsageError("Name the jobs by their ids, or all of them by --all.")
    if every and open_effects:
        raise click.UsageError("--open-effects goes with ids: somebody has to look at each of these jobs.")
    with store.opened() as database:
        if every:
            _redrive_all(database, by=by, **options)
            return
        answer = cast("operating.OpenEffects", open_effects or "refuse")
        for job_id in ids:
            _change(database, operating.redrive_job, job_id, by=by, open_effects=answer)
            click.echo(f"queued {job_id}")


@jobs.command()
@_ids
@_by
@click.pass_obj
def cancel(store: ChosenStore, *, ids: tuple[UUID, ...], by: str) -> None:
    """Cancel jobs; a running one stops at its next step, within a heartbeat or so."""
    if not ids:
        raise click.UsageError("Name the jobs by their ids.")
    with store.opened() as database:
        for job_id in ids:
            job = _change(database, operating.cancel_any_job, job_id, by=by)
            said = "asked to stop" if job.state is JobState.RUNNING else job.state.value
            click.echo(f"{said} {job_id}")


@jobs.command()
@click.option("--all", "every_state", is_flag=True, help="Also succeeded and cancelled jobs; reads the whole table.")
@_json
@click.pass_obj
def stats(store: ChosenStore, *, every_state: bool, as_json: bool) -> None:
    """Count jobs by state, kind and queue, and say how long the oldest due one waits."""
    with store.opened() as database, database.read() as session:
        found = counting.read_stats(session, every_state=every_state)
    if as_json:
        print_json({"counts": [vars(count) for count in found.counts], "oldest_due_seconds": found.oldest_due_seconds})
        return
    print_table(("STATE", "KIND", "QUEUE", "JOBS"), texts.rows_of(found.counts, "state", "kind", "queue", "jobs"))
    click.echo(texts.waits(found))


@jobs.command()
@click.option("--every", type=click.FloatRange(min=0.2), default=1.0, show_default=True, help="Seconds between looks.")
@click.option("--limit", type=click.IntRange(1, 100), default=15, show_default=True, help="Running jobs shown at most.")
@click.option("--until-idle", is_flag=True, help="End when nothing runs and nothing waits.")
@click.option("--json", "as_json", is_flag=True, help="For programs: an object a look, each on one line.")
@click.pass_obj
def watch(store: ChosenStore, *, every: float, limit: int, until_idle: bool, as_json: bool) -> None:
    """Watch jobs run, until Ctrl-C."""
    with store.opened() as database:
        watch_store(database, every=every, limit=limit, until_idle=until_idle, as_json=as_json)


def _redrive_all(
    database: Database,
    *,
    state: str,
    kind: str | None,
    error_code: str | None,
    limit: int,
    per_second: float,
    yes: bool,
    by: str,
) -> None:
    chosen = redriving.Chosen(JobState(state), kind, error_code)
    count = redriving.count_redrivable(database, chosen)
    some = f"{count} {state} jobs" if count <= limit else f"{limit} of {count} {state} jobs"
    if count and not yes:
        click.confirm(f"Run {some} again, {per_second:g} a second?", abort=True)
    done = redriving.redrive_jobs(database, chosen, by=by, per_second=per_second, limit=limit) if count else 0
    seconds = max(0, done - 1) / per_second
    click.echo(f"queued {done} of {some}" + (f"; the last is due in {texts.duration(seconds)}" if seconds > 1 else ""))


def _change(database: Database, use_case: Callable[..., Job], job_id: UUID, **options: Any) -> Job:
    def work(session: Session) -> Job:
        return use_case(session, job_id, **options)

    return run_write(database, work)


def _all_of(database: Database, wanted: Wanted) -> Iterator[Job]:
    """The jobs, page after page."""
    place, more = None, True
    while more:
        with database.read() as session:
            page, place = inspecting.list_all_jobs(session, wanted, _PAGE, place)
        yield from page
        more = place is not None


def _some(found: Iterator[Job], limit: int) -> list[Job]:
    return [job for job, _ in zip(found, range(limit), strict=False)]


def _as_json(job: Job) -> Any:
    from jobs.admin.views import AdminJobView  # noqa: PLC0415 - as above

    return AdminJobView.model_validate(job).model_dump(mode="json")
