"""Reading a stored file as a stream, one chunk in memory at a time."""

import hashlib
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import UUID

from common.db import Database
from sqlalchemy import bindparam, select

from jobs.files.errors import FileDamaged, FileNotFound, PieceMissing
from jobs.files.models import JobFile, JobFileChunk
from jobs.files.pieces import PieceDirectory

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_SIZE = select(JobFile.size_bytes).where(JobFile.id == bindparam("file_id"))
_CHUNK = (
    select(JobFileChunk.start_byte, JobFileChunk.data, JobFileChunk.piece, JobFileChunk.sha256)
    .where(JobFileChunk.file_id == bindparam("file_id"), JobFileChunk.start_byte <= bindparam("position"))
    .order_by(JobFileChunk.start_byte.desc())
    .limit(1)
)


def read_size(database: Database, file_id: UUID) -> int:
    """The file's length in bytes. Raises FileNotFound."""
    with database.read() as session:
        size = session.scalar(_SIZE, {"file_id": file_id})
    if size is None:
        raise FileNotFound(file_id)
    return size


def read_from(database: Database, pieces: PieceDirectory | None, file_id: UUID, position: int) -> memoryview:
    """The bytes from `position` to the end of the chunk that holds it; at least one.

    Raises FileDamaged where they are gone or are not those that were written.
    """
    with database.read() as session:
        row = session.execute(_CHUNK, {"file_id": file_id, "position": position}).one_or_none()
    if row is None:
        raise FileDamaged(file_id, position)
    data = row.data if row.piece is None else _read_piece(pieces, row.piece, file_id, position)
    if row.sha256 is not None and hashlib.sha256(data).digest() != row.sha256:
        raise FileDamaged(file_id, position, "does not have the checksum it was written with")
    rest = memoryview(data)[position - row.start_byte :]
    if not rest:
        raise FileDamaged(file_id, position)
    return rest


def _read_piece(pieces: PieceDirectory | None, name: str, file_id: UUID, position: int) -> bytes:
    if pieces is None:
        raise PieceMissing(file_id, position, "is kept in a directory, which JOB_FILES does not name here,")
    try:
        return pieces.read(name)
    except FileNotFoundError:
        raise PieceMissing(file_id, position, "is gone from the directory") from None


def iterate(
    database: Database, pieces: PieceDirectory | None, file_id: UUID, size_bytes: int | None = None
) -> Iterator[bytes]:
    """The content in pieces of at most one chunk: so many bytes of it, or as long as it was at the first piece."""
    size, position = read_size(database, file_id), 0
    size = size if size_bytes is None else size_bytes
    while position < size:
        piece = read_from(database, pieces, file_id, position)[: size - position]
        position += len(piece)
        yield bytes(piece)


class ChunkReader(io.RawIOBase):
    """A seekable stream whose reads are short sessions of their own, so it holds no connection while it is idle.

    The length is fixed when it is opened. Not for use by several threads at once.
    """

    def __init__(self, database: Database, pieces: PieceDirectory | None, file_id: UUID) -> None:
        """Raises FileNotFound."""
        super().__init__()
        self._database = database
        self._pieces = pieces
        self._file_id = file_id
        self._size = read_size(database, file_id)
        self._position = 0
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As `io.IOBase.seek`; a position past the end reads nothing."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"cannot seek to byte {base + offset}")
        self._position = base + offset
        self._rest = memoryview(b"")
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        if not self._rest and self._position < self._size:
            rest = read_from(self._database, self._pieces, self._file_id, self._position)
            self._rest = rest[: self._size - self._position]
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        self._position += count
        return count
