"""The physical lines of a file, with their numbers and byte offsets; gzip is unpacked on the way."""

import gzip
import zlib
from collections import deque
from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

from contacts.errors import DamagedGzip, ImportTooLarge

MAX_RECORD_BYTES = 128 * 1024
"""The longest record; also the csv module's own limit of one cell, which therefore never strikes first."""
EXPANSION_LIMIT = 10
"""How many times its size limit a file may hold unpacked."""
GZIP_MAGIC = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"

_SKIP_BYTES = 64 * 1024
_GZIP_FAULTS = (EOFError, zlib.error, gzip.BadGzipFile)


class Line(NamedTuple):
    """One line with its line end. Of a line over MAX_RECORD_BYTES only the first MAX_RECORD_BYTES + 1 are kept."""

    data: bytes
    start: int
    """Offset of the line in unpacked bytes; `end` is that behind it."""
    end: int

    @property
    def is_too_long(self) -> bool:
        return len(self.data) > MAX_RECORD_BYTES


class Lines:
    """Reads a file line by line; what it holds in memory is bounded by the longest record, not by the file.

    `number` is that of the line taken last (the first is 1) and `offset` its end in unpacked bytes. `take` and
    `skip_to` raise DamagedGzip, and ImportTooLarge beyond EXPANSION_LIMIT times `max_bytes` unpacked bytes.
    """

    def __init__(self, source: BinaryIO, *, max_bytes: int) -> None:
        self._source = source
        self._stream = open_unpacked(source)
        self._limit = max_bytes * EXPANSION_LIMIT
        self._read_to = 0
        self._pushed_back: deque[Line] = deque()
        self.number = 0
        self.offset = 0

    @property
    def position(self) -> int:
        """How many bytes of the file as stored have been read."""
        return self._source.tell()

    def take(self) -> Line | None:
        """Return the next line, or None at the end of the file."""
        line = self._pushed_back.popleft() if self._pushed_back else self._read()
        if line is not None:
            self.number += 1
            self.offset = line.end
        return line

    def push_back(self, lines: Sequence[Line]) -> None:
        """Give back the lines taken last, in their order; `take` returns them again."""
        if lines:
            self._pushed_back.extendleft(reversed(lines))
            self.number -= len(lines)
            self.offset = lines[0].start

    def skip_to(self, offset: int, number: int) -> None:
        """Go on behind line `number`, which ends at `offset`; only a gzip stream has to read its way there."""
        try:
            self._stream.seek(offset)
        except _GZIP_FAULTS as error:
            raise _damaged(number) from error
        self._pushed_back.clear()
        self.number, self.offset, self._read_to = number, offset, offset

    def _read(self) -> Line | None:
        start = self._read_to
        try:
            data = self._stream.readline(MAX_RECORD_BYTES + 1)
            self._read_to += len(data)
            if len(data) > MAX_RECORD_BYTES and not data.endswith(b"\n"):
                self._skip_rest_of_line()
        except _GZIP_FAULTS as error:
            raise _damaged(self.number) from error
        if not data:
            return None
        self._check_size()
        return Line(data.removeprefix(BOM) if start == 0 else data, start, self._read_to)

    def _skip_rest_of_line(self) -> None:
        while piece := self._stream.readline(_SKIP_BYTES):
            self._read_to += len(piece)
            self._check_size()
            if piece.endswith(b"\n"):
                return

    def _check_size(self) -> None:
        if self._read_to > self._limit:
            raise ImportTooLarge(f"The file holds more than {self._limit} bytes unpacked.")


def open_unpacked(source: BinaryIO) -> BinaryIO:
    """Return the file from its start as it is, or unpacked where it is gzip (told by its first two bytes)."""
    source.seek(0)
    is_packed = source.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    source.seek(0)
    # GzipFile has all the methods of a BinaryIO, but typeshed does not say so.
    return gzip.GzipFile(fileobj=source, mode="rb") if is_packed else source  # type: ignore[return-value]


def read_head(source: BinaryIO, size: int) -> bytes:
    """Return the first `size` unpacked bytes of a file, all of a shorter one. Raises DamagedGzip."""
    try:
        return open_unpacked(source).read(size)
    except _GZIP_FAULTS as error:
        raise _damaged(0) from error


def _damaged(line: int) -> DamagedGzip:
    where = f"behind line {line}" if line else "at its start"
    return DamagedGzip(f"The gzip stream is damaged or cut short {where}; pack the file again.")
