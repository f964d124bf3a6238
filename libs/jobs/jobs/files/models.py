"""The tables of stored files: what a file is, and its content in chunks."""

from datetime import datetime
from uuid import UUID

from common.db import UTCDateTime
from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from jobs.models.base import Base


class JobFile(Base):
    """A file uploaded for a job, or written by it."""

    __tablename__ = "job_files"
    __table_args__ = (
        # A job has one file of a name; files not bound to a job (NULL) may share names.
        UniqueConstraint("job_id", "name"),
        Index(None, "owner_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID]
    # Without a foreign key: an upload comes before its job, and the key would lock the job's row for the length of
    # each step that appends, which keeps the heartbeat out.
    job_id: Mapped[UUID | None]
    name: Mapped[str] = mapped_column(String(255))
    content_type: Mapped[str] = mapped_column(String(255))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    # Of files written in one go; None where a job appends.
    sha256: Mapped[bytes | None] = mapped_column(LargeBinary(32).with_variant(mysql.BINARY(32), "mysql"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime())


class JobFileChunk(Base):
    """A piece of a file. Its key is where it starts, so that any byte is found by one step in the index."""

    __tablename__ = "job_file_chunks"

    file_id: Mapped[UUID] = mapped_column(ForeignKey("job_files.id", ondelete="CASCADE"), primary_key=True)
    start_byte: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    data: Mapped[bytes] = mapped_column(LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql"))
    """Empty where the piece is kept in a directory."""
    sha256: Mapped[bytes | None] = mapped_column(LargeBinary(32).with_variant(mysql.BINARY(32), "mysql"))
    """Of the piece, wherever it is kept; pieces of older releases have none."""
    piece: Mapped[str | None] = mapped_column(String(100))
    """The name of the piece in the directory."""
