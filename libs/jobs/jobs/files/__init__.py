"""Files of jobs (uploads, results), stored in chunks in the database of the jobs."""

from jobs.files.errors import FileDamaged, FileNotFound, FileTooLarge
from jobs.files.models import JobFile, JobFileChunk
from jobs.files.store import CHUNK_BYTES, FileStore

__all__ = ["CHUNK_BYTES", "FileDamaged", "FileNotFound", "FileStore", "FileTooLarge", "JobFile", "JobFileChunk"]
