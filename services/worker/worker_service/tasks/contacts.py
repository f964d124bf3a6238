"""Jobs of the contacts domain: each joins a job to the domain's use case and decides nothing."""

from contacts.imports import CONTACTS_IMPORT, ImportPayload, ImportResult, run
from jobs.context import JobContext
from jobs.registry import Kind


def import_contacts(job: JobContext, payload: ImportPayload) -> ImportResult:
    """Import the uploaded file into the owner's contacts, from the last committed chunk on."""
    with job.open_file(payload.file_id) as source:
        return run(
            source,
            payload,
            owner_id=job.owner_id,
            checkpoint=job.checkpoint,
            step=job.step,
            check=job.check,
        )


CONTACTS_IMPORT_V1 = Kind(
    name=CONTACTS_IMPORT,
    version=1,
    payload=ImportPayload,
    handler=import_contacts,
    # A file of the largest size, on a slow database; it goes on from its checkpoint even then.
    soft_time_limit_seconds=3600,
    hard_time_limit_seconds=3660,
)
