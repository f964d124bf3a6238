"""The caller's background jobs."""

from collections.abc import Callable
from itertools import chain
from typing import Any
from uuid import UUID

from common.access import current_principal, require
from common.db import run_write
from common.db.paging import LimitQuery, Page, encode_cursor
from common.redprint import Redprint
from common.web.lifecycle import is_stopping
from common.web.sessions import current_database, read_session
from flask import Flask, Response, current_app, request, url_for
from jobs.enqueue import AcceptedJob
from jobs.files import JobFile
from jobs.models import Job
from jobs.states import JobState
from jobs.use_cases import jobs as use_cases
from sqlalchemy.orm import Session

from api_service.job_events import event_id, stream_events
from api_service.job_store import current_job_store
from api_service.long_answers import current_long_answers
from api_service.use_cases.jobs import find_errors, find_result, has_result_file, results_so_far
from api_service.views.jobs import JobErrorView, JobView, ProgressView

jobs = Redprint("jobs")

PathOf = Callable[[str], str]
"""The path of a handler of this module, for one job."""


@jobs.get("", access=require("jobs:read"), query=LimitQuery, response=Page[JobView])
def list_jobs(query: LimitQuery) -> Page[JobView]:
    """List the caller's jobs, newest first."""
    found, last = use_cases.list_jobs(read_session(), current_principal().user_id, query.limit, query.after)
    so_far = results_so_far(read_session(), found)
    items = [view_job(job, so_far.get(job.id)) for job in found]
    return Page[JobView](items=items, next_cursor=last and encode_cursor(last))


@jobs.get("/<uuid:job_id>", access=require("jobs:read"), response=JobView)
def show_job(job_id: UUID) -> JobView:
    """Show where a job stands."""
    return _read_job(read_session(), current_principal().user_id, job_id, _paths_of(job_id))


@jobs.post("/<uuid:job_id>/cancel", access=require("jobs:write"), response=JobView, status=202)
def cancel_job(job_id: UUID) -> JobView:
    """Ask a job to stop; what it committed stays. Repeating it, or asking a job that has ended, changes nothing."""
    owner_id = current_principal().user_id
    job = run_write(current_database(), lambda session: use_cases.cancel_job(session, owner_id, job_id))
    return view_job(job, results_so_far(read_session(), [job]).get(job_id))


@jobs.get("/<uuid:job_id>/events", access=require("jobs:read"))
def show_events(job_id: UUID) -> Response:
    """Send how the job stands, and again whenever that changes, until it has ended or a minute is over."""
    database, owner_id, paths = current_database(), current_principal().user_id, _all_paths_of(job_id)
    view = _read_job(read_session(), owner_id, job_id, paths.__getitem__)
    if view.state.is_final and request.headers.get("Last-Event-ID") == event_id(view):
        return Response(status=204)  # the one answer after which an EventSource does not come again

    def read() -> JobView:
        with database.read() as session:
            return _read_job(session, owner_id, job_id, paths.__getitem__)

    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined] # noqa: SLF001 - Flask documents it so
    give_back = current_long_answers().take_stream()
    response = Response(stream_events(read, lambda: is_stopping(app)), content_type="text/event-stream")
    response.headers["X-Accel-Buffering"] = "no"  # nginx would collect the events first
    response.call_on_close(give_back)
    return response


@jobs.get("/<uuid:job_id>/result", access=require("jobs:read"))
def show_result(job_id: UUID) -> Response:
    """Send the file the job has written. It comes whole: parts (Range) are not served."""
    file, content_type = find_result(read_session(), current_principal().user_id, job_id)
    stem, _, suffix = file.name.rpartition(".")
    return _send(file, content_type, f"{stem}-{job_id}.{suffix}")


@jobs.get("/<uuid:job_id>/errors", access=require("jobs:read"))
def show_errors(job_id: UUID) -> Response:
    """Send the rows the job rejected as CSV, with line, column and reason, ready to be mended and imported again."""
    errors = find_errors(read_session(), current_principal().user_id, job_id)
    return _send(errors, "text/csv; charset=utf-8", f"errors-{job_id}.csv")


def view_job(job: Job, result_so_far: dict[str, Any] | None = None, path_of: PathOf | None = None) -> JobView:
    """The job as its owner sees it, with paths of the version this request came in by.

    `result_so_far` is what a job that ended too early had done, `path_of` is needed where there is no request any more.
    """
    result = result_so_far if job.result is None else job.result
    return JobView(
        id=job.id,
        kind=job.kind,
        state=job.state,
        progress=None if job.progress is None else ProgressView(**job.progress),
        attempts=job.attempt,
        result=result,
        error=None if job.error is None else JobErrorView(**job.error),
        links=_links(job, result, path_of or _paths_of(job.id)),
        cancel_requested_at=job.cancel_requested_at,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )


def answer_accepted(job: AcceptedJob) -> tuple[JobView, int, dict[str, str]]:
    """What a request gets that made a job: the job as it begins, and where to ask for it."""
    path_of = _paths_of(job.id)
    view = JobView(
        id=job.id,
        kind=job.kind,
        state=JobState.QUEUED,
        progress=None,
        attempts=0,
        result=None,
        error=None,
        links={name: path_of(name) for name in ("self", "events", "cancel")},
        cancel_requested_at=None,
        created_at=job.created_at,
        started_at=None,
        finished_at=None,
    )
    return view, 202, {"Location": view.links["self"]}


def _read_job(session: Session, owner_id: UUID, job_id: UUID, path_of: PathOf) -> JobView:
    job = use_cases.get_job(session, owner_id, job_id)
    return view_job(job, results_so_far(session, [job]).get(job_id), path_of)


_HANDLERS = {
    "self": "show_job",
    "events": "show_events",
    "cancel": "cancel_job",
    "result": "show_result",
    "errors": "show_errors",
}


def _links(job: Job, result: dict[str, Any] | None, path_of: PathOf) -> dict[str, str]:
    names = ["self"]
    if not job.state.is_final:
        names += ["events", "cancel"]
    if has_result_file(job):
        names.append("result")
    if result and result.get("rejected"):
        names.append("errors")
    return {name: path_of(name) for name in names}


def _paths_of(job_id: UUID) -> PathOf:
    version = request.blueprints[-1]
    return lambda name: url_for(f"{version}.jobs.{_HANDLERS[name]}", job_id=job_id)


def _all_paths_of(job_id: UUID) -> dict[str, str]:
    path_of = _paths_of(job_id)
    return {name: path_of(name) for name in _HANDLERS}


def _send(file: JobFile, content_type: str, name: str) -> Response:
    """The file, one piece in memory at a time. Raises FileNotFound where it was deleted meanwhile; TooManyDownloads."""
    pieces = current_job_store().files.read(current_database(), file.id, file.size_bytes)
    # Read before the answer begins: from then on what is gone or damaged can only break it off.
    first = next(pieces, b"")
    give_back = current_long_answers().take_download()
    response = Response(chain([first], pieces), content_type=content_type)
    response.call_on_close(give_back)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Content-Length"] = str(file.size_bytes)
    response.headers["Accept-Ranges"] = "none"
    return response
