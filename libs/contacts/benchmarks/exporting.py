"""An export into a job's file as a worker does it, for the benchmarks: the file store, and a row for progress."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from common.db import Database
from common.ids import new_id
from contacts import exports
from contacts.testing import Importer
from jobs.files import FileStore
from jobs.models import Base
from people import write_csv
from sqlalchemy import text
from sqlalchemy.orm import Session

IMPORT_MAX_BYTES = 1024 * 1024 * 1024


def prepare(database: Database) -> None:
    """Make the tables an export writes to."""
    Base.metadata.create_all(database.engine)
    with database.write() as session:
        session.execute(text("CREATE TABLE progress (id INT PRIMARY KEY, checkpoint TEXT)"))
        session.execute(text("INSERT INTO progress VALUES (1, '')"))
        session.commit()


def fill(database: Database, rows: int) -> UUID:
    """Give an owner so many contacts and return the owner's id."""
    importer = Importer(database)
    importer.run(b"".join(write_csv(rows)), max_bytes=IMPORT_MAX_BYTES)
    return importer.owner_id


class StoredChunk:
    """One transaction: a piece of the file and where to go on."""

    def __init__(self, session: Session, job_id: UUID, owner_id: UUID) -> None:
        self._session, self._job_id, self._owner_id = session, job_id, owner_id

    def save(self, checkpoint: dict[str, Any], *, done: int, total: int | None, unit: str) -> None:
        values = {"checkpoint": json.dumps({"checkpoint": checkpoint, "done": done, "total": total, "unit": unit})}
        self._session.execute(text("UPDATE progress SET checkpoint = :checkpoint WHERE id = 1"), values)

    def append_file(self, name: str, data: bytes) -> None:
        FileStore().append(self._session, self._job_id, name, data, owner_id=self._owner_id)


def export(database: Database, owner_id: UUID, file_format: str) -> exports.ExportResult:
    """Write the owner's contacts into a new file."""
    job_id = new_id()

    @contextmanager
    def chunk() -> Iterator[StoredChunk]:
        with database.write() as session:
            yield StoredChunk(session, job_id, owner_id)
            session.commit()

    return exports.run(
        exports.ExportPayload(format=exports.ExportFormat(file_format)),
        owner_id=owner_id,
        checkpoint=None,
        read=database.read,
        chunk=chunk,
        check=lambda: None,
    )
