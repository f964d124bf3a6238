"""Exports of contacts: a job writes the file, its `result` link sends it."""

from common.access import current_principal, require
from common.redprint import Redprint
from common.web.context import current_traceparent
from common.web.idempotency import write_once
from werkzeug.wrappers import Response

from api_service.api.v1.jobs import answer_accepted
from api_service.job_store import current_job_store
from api_service.use_cases.exports import start_export as start
from api_service.views.exports import NewExport
from api_service.views.jobs import JobView

exports = Redprint("exports", url_prefix="/contacts/exports", tags=("contacts",))


@exports.post(
    "", access=require("contacts:read", "jobs:write"), body=NewExport, response=JobView, status=202, idempotent=True
)
def start_export(body: NewExport) -> Response:
    """Write the caller's contacts, or those with a tag, into a CSV or NDJSON file in the background."""
    owner_id, traceparent, store = current_principal().user_id, current_traceparent(), current_job_store()
    return write_once(
        lambda session: answer_accepted(
            start(session, store, owner_id=owner_id, payload=body.payload(), traceparent=traceparent)
        )
    )
