"""Reading a file chunk by chunk, from its start or from a checkpoint."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict

from contacts.imports.contract import ImportPayload, ImportResult
from contacts.imports.lines import Lines, read_head
from contacts.imports.mapping import HEAD_BYTES, FileFormat, read_plan
from contacts.imports.records import CSVRecords, JSONRecords
from contacts.imports.rejections import Rejection
from contacts.imports.rows import IgnoredColumns, Row, read_csv_rows, read_json_rows

CHUNK_ROWS = 1000  # 0.1 s of work: a cancel is heeded soon and a crash loses little; larger chunks gain under 10 %
CHUNK_BYTES = 1024 * 1024  # of the file: records of many short cells take thirty times that in memory


class Checkpoint(BaseModel):
    """Where an import stands after a committed chunk."""

    model_config = ConfigDict(frozen=True)

    offset: int
    """Unpacked bytes behind the last record taken; the line that ends there is `line`."""
    line: int
    hopeless_until: int = 0
    errors_bytes: int = 0
    """Length of all rejected rows so far, written as CSV."""
    result: ImportResult


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next rows of a file, and the place behind them."""

    rows: list[Row | Rejection]
    is_last: bool
    position: int
    """Bytes of the file as stored that have been read."""
    offset: int
    line: int
    hopeless_until: int
    ignored_columns: list[str]

    def checkpoint(self, *, errors_bytes: int, result: ImportResult) -> Checkpoint:
        """Where an import stands that has written these rows too; the ignored columns of the result are added here."""
        return Checkpoint(
            offset=self.offset,
            line=self.line,
            hopeless_until=self.hopeless_until,
            errors_bytes=errors_bytes,
            result=result.model_copy(update={"ignored_columns": self.ignored_columns}),
        )


class ChunkReader:
    """The rows of one file, in chunks of at most CHUNK_ROWS rows and about CHUNK_BYTES bytes.

    Raises subclasses of ImportRefused where the file is unfit as a whole, or turns out to be on the way.
    """

    def __init__(self, source: BinaryIO, payload: ImportPayload, checkpoint: Checkpoint | None) -> None:
        self.plan = read_plan(read_head(source, HEAD_BYTES), payload.mapping)
        self.size = source.seek(0, 2)
        ignored = checkpoint.result.ignored_columns if checkpoint else self.plan.ignored_columns
        self._ignored = IgnoredColumns(ignored)
        self._lines = Lines(source, max_bytes=payload.max_bytes)
        self._csv_records = CSVRecords(self._lines, hopeless_until=checkpoint.hopeless_until if checkpoint else 0)
        if checkpoint:
            self._lines.skip_to(checkpoint.offset, checkpoint.line)
        elif self.plan.file_format is FileFormat.CSV:
            self._skip_header()
        self._rows = self._read_rows()

    @property
    def ignored_columns(self) -> list[str]:
        """Those met so far."""
        return list(self._ignored)

    def take_chunk(self) -> Chunk:
        """Return the next rows. There may be none, in the last chunk or in any other (a stretch of blank lines)."""
        rows: list[Row | Rejection] = []
        end, is_last = self._lines.offset + CHUNK_BYTES, False
        while len(rows) < CHUNK_ROWS and self._lines.offset < end:
            try:
                row = next(self._rows)
            except StopIteration:
                is_last = True
                break
            if row is not None:
                rows.append(row)
        return Chunk(
            rows=rows,
            is_last=is_last,
            position=min(self._lines.position, self.size),
            offset=self._lines.offset,
            line=self._lines.number,
            hopeless_until=self._csv_records.hopeless_until,
            ignored_columns=self.ignored_columns,
        )

    def _skip_header(self) -> None:
        for record in self._csv_records:
            if record is not None:
                return

    def _read_rows(self) -> Iterator[Row | Rejection | None]:
        if self.plan.file_format is FileFormat.CSV:
            return read_csv_rows(self._csv_records, self.plan)
        return read_json_rows(JSONRecords(self._lines), self.plan, self._ignored)
