"""What operators may ask of a service's own job store over HTTP, the same in each service that has one.

    GET  /api/v1/admin/jobs                    list, by state, kind and owner
    GET  /api/v1/admin/jobs/{id}               one, with its attempts and effects
    POST /api/v1/admin/jobs/{id}/redrive       run a failed or dead job again
    POST /api/v1/admin/jobs/redrive            run many again, a few a second
    POST /api/v1/admin/jobs/{id}/cancel        cancel it, or ask it to stop

A service mounts them with the access rule they have there, and adds ADMIN_PROBLEMS to its table:

    admin_jobs = make_admin_jobs(require("jobs:admin", revocation="strict"))
"""

from collections.abc import Mapping

from common.problems import Problem

from jobs.admin.routes import make_admin_jobs
from jobs.errors import JobNotFound, JobNotRedrivable, OutcomeStillUnknown

ADMIN_PROBLEMS: Mapping[type[Exception], Problem] = {
    JobNotFound: Problem(404, "job-not-found", "Job not found"),
    JobNotRedrivable: Problem(409, JobNotRedrivable.code, "Job not redrivable"),
    OutcomeStillUnknown: Problem(409, OutcomeStillUnknown.code, "Outcome still unknown"),
}

__all__ = ["ADMIN_PROBLEMS", "make_admin_jobs"]
