"""Deleting files: those of jobs that are gone, and what transactions that never happened left behind."""

from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from common.db import Database, run_write
from common.db.sessions import WriteSession
from sqlalchemy import delete, select

from jobs.database_time import database_time
from jobs.files.models import JobFile, JobFileChunk
from jobs.files.pieces import PieceDirectory
from jobs.models.job import Job

CHUNKS_AT_ONCE = 64
"""16 MiB of the database's chunks: a transaction that is over before anybody waits for it."""
FILES_AT_ONCE = 1000
ORPHAN_SECONDS = 24 * 3600.0
"""An upload whose job is accepted later than that would be taken for left over; both come in one transaction."""


def delete_files_of(database: Database, pieces: PieceDirectory | None, job_ids: Iterable[UUID]) -> int:
    """Delete the files of these jobs; return how many. Killed in between, the rest is found by `delete_orphans`."""
    with database.read() as session:
        file_ids = list(session.scalars(select(JobFile.id).where(JobFile.job_id.in_(list(job_ids)))))
    for file_id in file_ids:
        delete_file(database, pieces, file_id)
    return len(file_ids)


def delete_file(database: Database, pieces: PieceDirectory | None, file_id: UUID) -> None:
    """Delete a file, some of its chunks at a time: a file of any size keeps no lock for long."""
    while _delete_chunks(database, pieces, file_id):
        pass

    def work(session: WriteSession) -> None:
        session.execute(delete(JobFile).where(JobFile.id == file_id))
        session.commit()

    run_write(database, work)


def _delete_chunks(database: Database, pieces: PieceDirectory | None, file_id: UUID) -> bool:
    chunks = select(JobFileChunk.start_byte, JobFileChunk.piece).where(JobFileChunk.file_id == file_id)
    with database.read() as session:
        found = session.execute(chunks.limit(CHUNKS_AT_ONCE)).all()

    def work(session: WriteSession) -> None:
        starts = [chunk.start_byte for chunk in found]
        session.execute(
            delete(JobFileChunk).where(JobFileChunk.file_id == file_id, JobFileChunk.start_byte.in_(starts))
        )
        session.commit()

    if found:
        run_write(database, work)
    # After the commit: a piece without a row is swept, a row without a piece would be a damaged file.
    for chunk in found:
        if chunk.piece and pieces:
            pieces.delete(chunk.piece)
    return bool(found)


def delete_orphans(database: Database, pieces: PieceDirectory | None, after: UUID | None) -> tuple[int, UUID | None]:
    """Look at up to 1,000 files behind `after`, delete those of no job that are a day old.

    Return how many were deleted, and where to go on; None at the end.
    """
    behind = () if after is None else (JobFile.id > after,)
    page = (
        select(JobFile.id, JobFile.created_at < database_time(-ORPHAN_SECONDS), Job.id.is_(None))
        .outerjoin(Job, Job.id == JobFile.job_id)
        .where(*behind)
        .order_by(JobFile.id)
        .limit(FILES_AT_ONCE)
    )
    with database.read() as session:
        files = session.execute(page).all()
    orphans = [file_id for file_id, is_old, is_orphan in files if is_old and is_orphan]
    for file_id in orphans:
        delete_file(database, pieces, file_id)
    return len(orphans), files[-1][0] if len(files) == FILES_AT_ONCE else None


def delete_left_over_pieces(database: Database, pieces: PieceDirectory) -> int:
    """Delete the pieces in the directory that are a day old and belong to no row; return how many."""
    count = 0
    for paths in pieces.left_over(ORPHAN_SECONDS):
        kept = _names_with_rows(database, paths)
        for path in paths:
            if path.name not in kept:
                path.unlink(missing_ok=True)
                count += 1
    return count


def _names_with_rows(database: Database, paths: list[Path]) -> set[str]:
    kept: set[str] = set()
    names = [path.name for path in paths]
    for start in range(0, len(names), FILES_AT_ONCE):
        part = names[start : start + FILES_AT_ONCE]
        of_files = {UUID(name[:32]) for name in part if not name.startswith(".")}
        query = select(JobFileChunk.piece).where(JobFileChunk.file_id.in_(of_files), JobFileChunk.piece.in_(part))
        with database.read() as session:
            kept.update(name for name in session.scalars(query) if name)
    return kept
