"""Jobs of the contacts domain: each joins a job to the domain's use case and decides nothing."""

from contacts.imports import CONTACTS_IMPORT, ImportPayload, ImportResult, run
from jobs.context import JobContext


@CONTACTS_IMPORT
def import_contacts(job: JobContext, payload: ImportPayload) -> ImportResult:
    """Import the uploaded file into the owner's contacts, from the last committed chunk on."""
    with job.open_file(payload.file_id) as source:
        return run(
            source,
            payload,
            owner_id=job.owner_id,
            checkpoint=job.checkpoint,
            step=job.chunk,
            check=job.check,
        )
