"""The admin routes themselves: a Redprint of the jobs in the store of the service that mounts it."""

from functools import partial
from uuid import UUID

from common.access import Access, current_principal
from common.db import run_write
from common.db.paging import Page
from common.redprint import Redprint
from common.web.sessions import current_database, read_session

from jobs.admin.places import encode_place
from jobs.admin.views import AdminJobDetails, AdminJobsQuery, AdminJobView, Redrive, RedriveMany, RedrivenMany
from jobs.states import JobState
from jobs.use_cases import inspecting, operating, redriving
from jobs.use_cases.redriving import Chosen


def make_admin_jobs(access: Access) -> Redprint:
    """Return the routes below /admin/jobs, each open to those `access` lets in. Payloads are not shown."""
    admin_jobs = Redprint("admin_jobs", url_prefix="/admin/jobs", tags=("admin",))

    @admin_jobs.get("", access=access, query=AdminJobsQuery, response=Page[AdminJobView])
    def list_jobs(query: AdminJobsQuery) -> Page[AdminJobView]:
        """List jobs, newest first, those of one state by their end. By kind a page may be short and not the last."""
        found, last = inspecting.list_all_jobs(read_session(), query.wanted, query.limit, query.after_place)
        items = [AdminJobView.model_validate(job) for job in found]
        return Page[AdminJobView](items=items, next_cursor=last and encode_place(last))

    @admin_jobs.get("/<uuid:job_id>", access=access, response=AdminJobDetails)
    def show_job(job_id: UUID) -> AdminJobDetails:
        """Show a job, its attempts, and what it did outside the database."""
        return AdminJobDetails.of_history(inspecting.show_job(read_session(), job_id))

    @admin_jobs.post(
        "/<uuid:job_id>/redrive", access=access, body=Redrive, body_required=False, response=AdminJobView, status=202
    )
    def redrive_job(job_id: UUID, body: Redrive | None) -> AdminJobView:
        """Run a failed or dead job again, with new attempts and from where it was."""
        open_effects = (body and body.open_effects) or "refuse"
        redrive = partial(operating.redrive_job, job_id=job_id, by=_operator(), open_effects=open_effects)
        return AdminJobView.model_validate(run_write(current_database(), redrive))

    @admin_jobs.post("/redrive", access=access, body=RedriveMany, response=RedrivenMany, status=202)
    def redrive_jobs(body: RedriveMany) -> RedrivenMany:
        """Run many failed or dead jobs again, the longest ended first; those with an unknown outcome are left out."""
        chosen = Chosen(JobState(body.state), body.kind, body.error_code)
        redriven = redriving.redrive_jobs(
            current_database(), chosen, by=_operator(), per_second=body.per_second, limit=body.limit
        )
        return RedrivenMany(redriven=redriven)

    @admin_jobs.post("/<uuid:job_id>/cancel", access=access, response=AdminJobView, status=202)
    def cancel_job(job_id: UUID) -> AdminJobView:
        """Cancel a job, or ask it to stop when it runs. One that has ended stays as it is."""
        cancel = partial(operating.cancel_any_job, job_id=job_id, by=_operator())
        return AdminJobView.model_validate(run_write(current_database(), cancel))

    return admin_jobs


def _operator() -> str:
    """Who did it, for the job's row and the log."""
    return str(current_principal().user_id)
