"""The shapes and refusals of the admin routes, the same in each service that has a job store.

    GET  /api/v1/admin/jobs                    list, by state, kind and owner
    GET  /api/v1/admin/jobs/{id}               one, with its attempts and effects
    POST /api/v1/admin/jobs/{id}/redrive       run a failed or dead job again
    POST /api/v1/admin/jobs/redrive            run many again, a few a second
    POST /api/v1/admin/jobs/{id}/cancel        cancel it, or ask it to stop

A service adds the routes themselves (`api/v1/admin_jobs.py`) with the access rule they have there.
"""

from collections.abc import Mapping

from common.problems import Problem

from jobs.admin.views import AdminJobDetails, AdminJobsQuery, AdminJobView, Redrive, RedriveMany, RedrivenMany
from jobs.errors import JobNotFound, JobNotRedrivable, OutcomeStillUnknown

ADMIN_PROBLEMS: Mapping[type[Exception], Problem] = {
    JobNotFound: Problem(404, "job-not-found", "Job not found"),
    JobNotRedrivable: Problem(409, JobNotRedrivable.code, "Job not redrivable"),
    OutcomeStillUnknown: Problem(409, OutcomeStillUnknown.code, "Outcome still unknown"),
}

__all__ = [
    "ADMIN_PROBLEMS",
    "AdminJobDetails",
    "AdminJobView",
    "AdminJobsQuery",
    "Redrive",
    "RedriveMany",
    "RedrivenMany",
]
