"""Imports of contacts: an upload becomes a job."""

from common.access import current_principal, require
from common.redprint import Redprint
from common.web.context import current_traceparent
from common.web.idempotency import write_once
from contacts.imports import check_first_bytes
from flask import Flask, current_app, request
from werkzeug.wrappers import Response

from api_service.api.v1.jobs import answer_accepted
from api_service.config import APISettings
from api_service.job_store import current_job_store
from api_service.uploads import OVERHEAD_BYTES, read_upload
from api_service.use_cases import imports as use_cases
from api_service.views.imports import TEXT_PARTS, read_mapping, read_on_conflict
from api_service.views.jobs import JobView

imports = Redprint("imports", url_prefix="/contacts/imports", tags=("contacts",))


def _settings(app: Flask) -> APISettings:
    settings: APISettings = app.extensions["settings"]
    return settings


def _body_limit(app: Flask) -> int:
    return _settings(app).import_max_bytes + OVERHEAD_BYTES


@imports.post(
    "",
    access=require("contacts:write", "jobs:write"),
    response=JobView,
    status=202,
    max_body_bytes=_body_limit,
    idempotent=True,
)
def start_import() -> Response:
    """Accept a CSV or NDJSON file (also gzip) of contacts and import it in the background.

    Parts: `file`; `mapping`, a JSON object from column to field (null ignores one); `on_conflict`, which is skip,
    update or error (the default), for rows whose external_id a contact has already.
    """
    max_bytes, store = _settings(current_app).import_max_bytes, current_job_store()
    with read_upload(request, texts=TEXT_PARTS, max_bytes=max_bytes, check_head=check_first_bytes) as upload:
        mapping, on_conflict = read_mapping(upload.texts), read_on_conflict(upload.texts)
        use_cases.check_upload(upload.file, mapping)
        return write_once(
            lambda session: answer_accepted(
                use_cases.start_import(
                    session,
                    store,
                    owner_id=current_principal().user_id,
                    file=upload.file,
                    content_type=upload.content_type,
                    mapping=mapping,
                    on_conflict=on_conflict,
                    max_bytes=max_bytes,
                    traceparent=current_traceparent(),
                )
            ),
            content_hash=upload.content_hash(),
        )
