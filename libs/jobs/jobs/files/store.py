"""The file store: files are rows of chunks, written in the caller's transaction; the bytes there or in a directory."""

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO
from uuid import UUID

from common.clock import utc_now
from common.db import Database
from common.ids import new_id
from sqlalchemy import bindparam, insert, select
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.orm import Session

from jobs.files.errors import FileTooLarge
from jobs.files.models import JobFile, JobFileChunk
from jobs.files.pieces import PieceDirectory
from jobs.files.reader import ChunkReader, iterate

# With MySQL's escaping at most twice that on the wire: far below max_allowed_packet, whose default is 64 MiB and was
# 4 MiB, and small enough that a reader in each thread costs nothing.
CHUNK_BYTES = 256 * 1024
# A file for each chunk, and each is read as a whole: few enough of them, and small enough.
PIECE_BYTES = 4 * 1024 * 1024

_OF_JOB = select(JobFile).where(JobFile.job_id == bindparam("job_id"), JobFile.name == bindparam("name"))
_OF_JOB_LOCKED = _OF_JOB.with_for_update().execution_options(populate_existing=True)
# The table, not the class: as objects the chunks would stay in memory until the commit.
_ADD_CHUNK = insert(JobFileChunk.metadata.tables[JobFileChunk.__tablename__])
_ADD_FILE_IF_NEW = {
    # Unlike IGNORE, this hides no other error than the key that is taken.
    "mysql": mysql.insert(JobFile).on_duplicate_key_update(id=JobFile.id),
    "sqlite": sqlite.insert(JobFile).on_conflict_do_nothing(index_elements=["job_id", "name"]),
}


@dataclass(frozen=True)
class FileStore:
    """Keeps files in the database of their jobs, or their content in a directory; at most one chunk of it in memory.

    Which chunks count is said by rows in the caller's transaction either way, so the promises are the same. Files that
    were written before the directory was set are read where they are.
    """

    pieces: PieceDirectory | None = None
    chunk_bytes: int | None = None

    def save(
        self,
        session: Session,
        *,
        owner_id: UUID,
        name: str,
        content_type: str,
        stream: BinaryIO,
        max_bytes: int,
        job_id: UUID | None = None,
        file_id: UUID | None = None,
    ) -> JobFile:
        """Store the rest of `stream` as a new file, of this id if one is given; nothing is committed.

        Raises FileTooLarge as soon as more than `max_bytes` were read; the caller's rollback removes what was written.
        """
        file = _new_file(owner_id, job_id, name, content_type, file_id)
        session.add(file)
        session.flush()
        digest, size = hashlib.sha256(), 0
        with self._adding_to(session, file.id) as add_chunk:
            while chunk := _read_full(stream, self._chunk_bytes):
                if size + len(chunk) > max_bytes:
                    raise FileTooLarge(max_bytes)
                digest.update(chunk)
                add_chunk(size, chunk)
                size += len(chunk)
        file.size_bytes, file.sha256 = size, digest.digest()
        session.flush()
        return file

    def append(
        self,
        session: Session,
        job_id: UUID,
        name: str,
        data: bytes,
        *,
        owner_id: UUID,
        content_type: str = "application/octet-stream",
    ) -> JobFile:
        """Add `data` to the end of the job's file of that name, which is made if it is not there.

        Part of the caller's transaction: committed with it or not at all. The file's row stays locked until then, so
        two writers never mix or lose pieces.
        """
        file = session.scalar(_OF_JOB_LOCKED, {"job_id": job_id, "name": name})
        if file is None:
            _add_if_new(session, _new_file(owner_id, job_id, name, content_type))
            file = session.scalars(_OF_JOB_LOCKED, {"job_id": job_id, "name": name}).one()
        with self._adding_to(session, file.id) as add_chunk:
            for start in range(0, len(data), self._chunk_bytes):
                add_chunk(file.size_bytes + start, data[start : start + self._chunk_bytes])
        file.size_bytes, file.sha256 = file.size_bytes + len(data), None
        session.flush()
        return file

    def open_file(self, database: Database, file_id: UUID) -> BinaryIO:
        """A buffered, seekable stream over the file. Raises FileNotFound."""
        return io.BufferedReader(ChunkReader(database, self.pieces, file_id))

    def read(self, database: Database, file_id: UUID, size_bytes: int | None = None) -> Iterator[bytes]:
        """The content in pieces, for an answer that is streamed; no more of it than `size_bytes`, if it may still grow.

        Raises FileNotFound at the first piece, and FileDamaged at any.
        """
        return iterate(database, self.pieces, file_id, size_bytes)

    def find(self, session: Session, job_id: UUID, name: str) -> JobFile | None:
        """The job's file of that name, None where it wrote none."""
        return session.scalar(_OF_JOB, {"job_id": job_id, "name": name})

    @property
    def _chunk_bytes(self) -> int:
        return self.chunk_bytes or (PIECE_BYTES if self.pieces else CHUNK_BYTES)

    @contextmanager
    def _adding_to(self, session: Session, file_id: UUID) -> Iterator[Callable[[int, bytes], None]]:
        """Give a function that adds a chunk at a byte. Where the block raises, its pieces are deleted again.

        They would be swept a day later, but a full disk would be full for as long.
        """
        written: list[str] = []

        def add(start_byte: int, data: bytes) -> None:
            row: dict[str, Any] = {
                "file_id": file_id,
                "start_byte": start_byte,
                "sha256": hashlib.sha256(data).digest(),
            }
            if self.pieces:
                # The piece first: a row that is committed always has one.
                written.append(self.pieces.write(file_id, start_byte, data))
                row |= {"data": b"", "piece": written[-1]}
            else:
                row |= {"data": data, "piece": None}
            session.execute(_ADD_CHUNK, row)

        try:
            yield add
        except BaseException:
            self._take_back(written)
            raise

    def _take_back(self, names: list[str]) -> None:
        for name in names:
            with suppress(OSError):  # what is in the way is in the way of the error that is being raised, too
                assert self.pieces is not None  # noqa: S101 - for the type checker: they were written there
                self.pieces.delete(name)


def _new_file(
    owner_id: UUID, job_id: UUID | None, name: str, content_type: str, file_id: UUID | None = None
) -> JobFile:
    return JobFile(
        id=file_id or new_id(),
        owner_id=owner_id,
        job_id=job_id,
        name=name,
        content_type=content_type,
        size_bytes=0,
        sha256=None,
        created_at=utc_now(),
    )


def _add_if_new(session: Session, file: JobFile) -> None:
    values = {column.key: getattr(file, column.key) for column in JobFile.__table__.columns}
    session.execute(_ADD_FILE_IF_NEW[session.get_bind().dialect.name], values)


def _read_full(stream: BinaryIO, size: int) -> bytes:
    """Exactly `size` bytes unless the stream ends: sockets and pipes give less than asked."""
    data = stream.read(size)
    while data and len(data) < size and (more := stream.read(size - len(data))):
        data += more
    return data
