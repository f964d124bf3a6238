"""Importing and exporting without any job, for tests and benchmarks; nothing here is used by a service."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from uuid import UUID

from common.clock import Clock, utc_now
from common.db import Database
from common.ids import new_id
from sqlalchemy import select
from sqlalchemy.orm import Session

from contacts import exports, imports
from contacts.models import Contact


class Stopped(Exception):
    """The import or export was told to stop, as a worker does that is killed."""


@dataclass
class Step:
    """One transaction of a job that is not there: keeps what would be committed with it."""

    session: Session
    checkpoint: dict[str, Any] = field(default_factory=dict)
    progress: tuple[int, int, str] = (0, 0, "")
    appended: bytes = b""

    def save(self, checkpoint: dict[str, Any], *, done: int, total: int, unit: str) -> None:
        self.checkpoint, self.progress = checkpoint, (done, total, unit)

    def append_file(self, name: str, data: bytes) -> None:
        self.appended += data


@dataclass
class Importer:
    """Imports into one owner's contacts, and remembers what a job would."""

    database: Database
    owner_id: UUID = field(default_factory=new_id)
    clock: Clock = utc_now
    checkpoint: dict[str, Any] | None = None
    progress: list[tuple[int, int, str]] = field(default_factory=list)
    errors: bytes = b""

    def run(
        self,
        data: bytes | BinaryIO,
        mapping: dict[str, str | None] | None = None,
        on_conflict: str = "error",
        *,
        max_bytes: int = 100_000_000,
        max_steps: int | None = None,
    ) -> imports.ImportResult:
        """Import from the start."""
        self.checkpoint, self.progress, self.errors = None, [], b""
        return self.resume(data, mapping, on_conflict, max_bytes=max_bytes, max_steps=max_steps)

    def resume(
        self,
        data: bytes | BinaryIO,
        mapping: dict[str, str | None] | None = None,
        on_conflict: str = "error",
        *,
        max_bytes: int = 100_000_000,
        max_steps: int | None = None,
    ) -> imports.ImportResult:
        """Go on from the last checkpoint; raise Stopped after `max_steps` steps."""
        payload = imports.ImportPayload(
            file_id=new_id(), mapping=mapping or {}, on_conflict=imports.OnConflict(on_conflict), max_bytes=max_bytes
        )
        return imports.run(
            io.BytesIO(data) if isinstance(data, bytes) else data,
            payload,
            owner_id=self.owner_id,
            checkpoint=self.checkpoint,
            step=self._steps(max_steps),
            check=lambda: None,
            clock=self.clock,
        )

    def _steps(self, max_steps: int | None) -> imports.OpenStep:
        left = iter(range(max_steps)) if max_steps is not None else None

        @contextmanager
        def open_step() -> Iterator[Step]:
            if left is not None and next(left, None) is None:
                raise Stopped
            with self.database.write() as session:
                step = Step(session)
                yield step
                session.commit()
            self.checkpoint = step.checkpoint
            self.progress.append(step.progress)
            self.errors += step.appended

        return open_step

    def contacts(self) -> list[Contact]:
        """The owner's live contacts in the order of their creation."""
        query = select(Contact).where(Contact.owner_id == self.owner_id, Contact.deleted_at.is_(None))
        with self.database.read() as session:
            return list(session.scalars(query.order_by(Contact.owner_id, Contact.id)))


class ExportedChunk:
    """One transaction of a job that is not there: keeps what would be committed with it."""

    def __init__(self) -> None:
        self.checkpoint: dict[str, Any] = {}
        self.progress: tuple[int, int | None, str] = (0, None, "")
        self.appended: dict[str, bytes] = {}

    def save(self, checkpoint: dict[str, Any], *, done: int, total: int | None, unit: str) -> None:
        self.checkpoint, self.progress = checkpoint, (done, total, unit)

    def append_file(self, name: str, data: bytes) -> None:
        self.appended[name] = self.appended.get(name, b"") + data


@dataclass
class Exporter:
    """Exports one owner's contacts, and remembers what a job would: `files` by name, `progress` of each chunk."""

    database: Database
    owner_id: UUID
    checkpoint: dict[str, Any] | None = None
    progress: list[tuple[int, int | None, str]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    def run(
        self, file_format: str = "csv", tag: str | None = None, *, max_chunks: int | None = None
    ) -> exports.ExportResult:
        """Go on from the last checkpoint; raise Stopped after `max_chunks` chunks."""
        payload = exports.ExportPayload(format=exports.ExportFormat(file_format), filter=exports.ContactFilter(tag=tag))
        return exports.run(
            payload,
            owner_id=self.owner_id,
            checkpoint=self.checkpoint,
            read=self.database.read,
            chunk=self._chunks(max_chunks),
            check=lambda: None,
        )

    def _chunks(self, max_chunks: int | None) -> exports.OpenChunk:
        left = iter(range(max_chunks)) if max_chunks is not None else None

        @contextmanager
        def open_chunk() -> Iterator[ExportedChunk]:
            if left is not None and next(left, None) is None:
                raise Stopped
            chunk = ExportedChunk()
            yield chunk
            self.checkpoint = chunk.checkpoint
            self.progress.append(chunk.progress)
            for name, data in chunk.appended.items():
                self.files[name] = self.files.get(name, b"") + data

        return open_chunk
