"""Exports of contacts: a job writes the file, its `result` link sends it."""

from functools import partial

from common.access import current_principal, require
from common.ids import new_id
from common.redprint import Redprint
from common.web.context import current_traceparent
from common.web.idempotency import write_once
from sqlalchemy import Connection
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from api_service.api.v1.jobs import answer_accepted
from api_service.job_store import current_job_store
from api_service.use_cases import exports as use_cases
from api_service.views.exports import NewExport
from api_service.views.jobs import JobView

exports = Redprint("exports", url_prefix="/contacts/exports", tags=("contacts",))


@exports.post(
    "", access=require("contacts:read", "jobs:write"), body=NewExport, response=JobView, status=202, idempotent=True
)
def start_export(body: NewExport) -> Response:
    """Write the caller's contacts, or those with a tag, into a CSV or NDJSON file in the background."""
    start = partial(
        use_cases.start_export,
        store=current_job_store(),
        job_id=new_id(),
        owner_id=current_principal().user_id,
        payload=body.payload(),
        traceparent=current_traceparent(),
    )

    def accept(session: Session | Connection) -> tuple[JobView, int, dict[str, str]]:
        return answer_accepted(start(session))

    return write_once(accept, as_statement=accept)
