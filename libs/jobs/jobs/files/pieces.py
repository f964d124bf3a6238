"""Pieces of files in a directory that api and worker share: written whole or not at all, never changed, then deleted.

A piece is named for its file's id, its place in it and a random token, never for anything a client sent. Its row in
job_file_chunks says that it counts: a piece without a row is left over from a transaction that was not committed, and
is swept after a day.
"""

import os
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

_NAME = re.compile(r"[0-9a-f]{32}-[0-9]{1,19}-[0-9a-f]{16}")
_BEGUN = ".begun-"


class PieceNameError(ValueError):
    """The name of a piece is none that this module gives."""


@dataclass(frozen=True)
class PieceDirectory:
    """Below `root` a folder for each last byte of a file's id, so that none grows too long."""

    root: Path

    def write(self, file_id: UUID, start_byte: int, data: bytes) -> str:
        """Keep the bytes and return the name of the piece, once they are on the disk under that name."""
        name = f"{file_id.hex}-{start_byte}-{secrets.token_hex(8)}"
        path = self._path(name)
        self._make_folder(path.parent)
        begun = path.with_name(_BEGUN + name)
        try:
            with begun.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            begun.rename(path)
        except BaseException:
            begun.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
        return name

    def read(self, name: str) -> bytes:
        """The bytes of the piece. Raises FileNotFoundError, and PieceNameError for a name not made here."""
        return self._path(name).read_bytes()

    def delete(self, name: str) -> None:
        """Delete the piece, if it is there. Raises PieceNameError."""
        self._path(name).unlink(missing_ok=True)

    def left_over(self, older_than_seconds: float) -> Iterator[list[Path]]:
        """The pieces of that age, begun ones included, folder by folder."""
        if not self.root.is_dir():
            return
        before = time.time() - older_than_seconds
        for folder in sorted(each for each in self.root.iterdir() if each.is_dir()):
            yield [path for path in folder.iterdir() if _is_ours(path.name) and _modified_at(path) < before]

    def _make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            _sync_folder(self.root)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise PieceNameError("this is not the name of a piece")
        return self.root / name[30:32] / name


def _is_ours(name: str) -> bool:
    return _NAME.fullmatch(name.removeprefix(_BEGUN)) is not None


def _modified_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        # Gone since it was listed: another dispatcher sweeps too.
        return time.time()


def _sync_folder(folder: Path) -> None:
    """Else the name, not the bytes, may be gone after a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
