"""Files of jobs (uploads, results), stored in chunks: in the database of the jobs, or in a directory."""

from jobs.files.errors import FileDamaged, FileNotFound, FileTooLarge, PieceMissing
from jobs.files.models import JobFile, JobFileChunk
from jobs.files.pieces import PieceDirectory
from jobs.files.settings import check_job_files, make_file_store
from jobs.files.store import CHUNK_BYTES, FileStore

__all__ = [
    "CHUNK_BYTES",
    "FileDamaged",
    "FileNotFound",
    "FileStore",
    "FileTooLarge",
    "JobFile",
    "JobFileChunk",
    "PieceDirectory",
    "PieceMissing",
    "check_job_files",
    "make_file_store",
]
