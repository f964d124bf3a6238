"""Jobs of the contacts domain: each joins a job to the domain's use case and decides nothing."""

from contacts import exports, imports
from contacts.exports import CONTACTS_EXPORT, ExportPayload, ExportResult
from contacts.imports import CONTACTS_IMPORT, ImportPayload, ImportResult
from jobs.context import JobContext


@CONTACTS_IMPORT
def import_contacts(job: JobContext, payload: ImportPayload) -> ImportResult:
    """Import the uploaded file into the owner's contacts, from the last committed chunk on."""
    with job.open_file(payload.file_id) as source:
        return imports.run(
            source,
            payload,
            owner_id=job.owner_id,
            checkpoint=job.checkpoint,
            step=job.chunk,
            check=job.check,
        )


@CONTACTS_EXPORT
def export_contacts(job: JobContext, payload: ExportPayload) -> ExportResult:
    """Write the owner's contacts into the job's file, from the last committed chunk on."""
    return exports.run(
        payload,
        owner_id=job.owner_id,
        checkpoint=job.checkpoint,
        read=job.read,
        chunk=job.chunk,
        check=job.check,
    )
