"""The caller's background jobs."""

from uuid import UUID

from common.access import current_principal, require
from common.db import run_write
from common.db.paging import LimitQuery, Page, encode_cursor
from common.redprint import Redprint
from common.web.sessions import current_database, read_session
from flask import Response, request, url_for
from jobs.files import FileStore
from jobs.models import Job
from jobs.use_cases import jobs as use_cases

from api_service.use_cases.jobs import find_errors
from api_service.views.jobs import JobErrorView, JobView, ProgressView

jobs = Redprint("jobs")


@jobs.get("", access=require("jobs:read"), query=LimitQuery, response=Page[JobView])
def list_jobs(query: LimitQuery) -> Page[JobView]:
    """List the caller's jobs, newest first."""
    found, last = use_cases.list_jobs(read_session(), current_principal().user_id, query.limit, query.after)
    items = [view_job(job) for job in found]
    return Page[JobView](items=items, next_cursor=last and encode_cursor(last))


@jobs.get("/<uuid:job_id>", access=require("jobs:read"), response=JobView)
def show_job(job_id: UUID) -> JobView:
    """Show where a job stands."""
    return view_job(use_cases.get_job(read_session(), current_principal().user_id, job_id))


@jobs.post("/<uuid:job_id>/cancel", access=require("jobs:write"), response=JobView, status=202)
def cancel_job(job_id: UUID) -> JobView:
    """Ask a job to stop; what it committed stays. Repeating it, or asking a job that has ended, changes nothing."""
    owner_id = current_principal().user_id
    return view_job(run_write(current_database(), lambda session: use_cases.cancel_job(session, owner_id, job_id)))


@jobs.get("/<uuid:job_id>/errors", access=require("jobs:read"))
def show_errors(job_id: UUID) -> Response:
    """Send the rows the job rejected as CSV, with line, column and reason, ready to be mended and imported again."""
    errors = find_errors(read_session(), current_principal().user_id, job_id)
    content = FileStore().read(current_database(), errors.id)
    disposition = f'attachment; filename="errors-{job_id}.csv"'
    return Response(content, content_type="text/csv; charset=utf-8", headers={"Content-Disposition": disposition})


def view_job(job: Job) -> JobView:
    """The job as its owner sees it, with paths of the version this request came in by."""
    return JobView(
        id=job.id,
        kind=job.kind,
        state=job.state,
        progress=None if job.progress is None else ProgressView(**job.progress),
        attempts=job.attempt,
        result=job.result,
        error=None if job.error is None else JobErrorView(**job.error),
        links=_links(job),
        cancel_requested_at=job.cancel_requested_at,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )


def _links(job: Job) -> dict[str, str]:
    version = request.blueprints[-1]
    handlers = {"self": "show_job"}
    if not job.state.is_final:
        handlers["cancel"] = "cancel_job"
    if job.result and job.result.get("rejected"):
        handlers["errors"] = "show_errors"
    return {name: url_for(f"{version}.jobs.{handler}", job_id=job.id) for name, handler in handlers.items()}
