"""A directory of keys while a command changes it: one command at a time, and never a half state for who reads."""

import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from auth_service.keys.errors import KeyFileError
from auth_service.keys.manifest import FILE_NAME, Entry, list_key_files, manifest_document
from auth_service.keys.mounted import is_mounted
from auth_service.keys.refresh import version_of

_UNFINISHED = ".new-"


class KeyFolder:
    """Files appear whole, with mode 0600, and survive a power cut once a method has returned. Raises OSError."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def has_manifest(self) -> bool:
        return (self.directory / FILE_NAME).exists()

    @property
    def refresh_versions(self) -> list[int]:
        """Those with a file, named by the manifest or not."""
        return [version for name in list_key_files(self.directory) if (version := version_of(name))]

    def write_manifest(self, entries: Sequence[Entry], last_refresh_version: int) -> None:
        """Put a manifest there, in place of an older one at one stroke."""
        temporary = self._write_temporary(manifest_document(entries, last_refresh_version))
        os.replace(temporary, self.directory / FILE_NAME)
        self._flush_names()

    def write_key(self, name: str, content: bytes) -> None:
        """Write a new key file; raises KeyFileError rather than replace one."""
        temporary = self._write_temporary(content)
        try:
            os.link(temporary, self.directory / name)  # unlike a rename it never replaces
        except FileExistsError as error:
            raise KeyFileError(f"{self.directory / name} is there and {FILE_NAME} does not name it") from error
        finally:
            os.unlink(temporary)
        self._flush_names()

    def delete(self, names: Iterable[str]) -> None:
        """Delete files that the manifest does not name any more."""
        for name in names:
            (self.directory / name).unlink(missing_ok=True)
        self._flush_names()

    def clear(self) -> None:
        """Delete what a command that was killed has not finished: it may hold a key, and would go into the Secret."""
        for path in self.directory.glob(f"{_UNFINISHED}*"):
            path.unlink()

    def _write_temporary(self, content: bytes) -> str:
        descriptor, temporary = tempfile.mkstemp(dir=self.directory, prefix=_UNFINISHED)  # made with mode 0600
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        return temporary

    def _flush_names(self) -> None:
        descriptor = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def open_folder(directory: Path) -> Iterator[KeyFolder]:
    """Give a directory to change, after other commands are done with it; raises KeyFileError where nobody may."""
    if is_mounted(directory):
        raise KeyFileError(
            f"{directory} is a mounted Secret, which only the cluster changes: copy its files to a folder, "
            "change them there with --dir, and apply the Secret anew"
        )
    try:
        # The directory itself is locked: a file for it would be one more in the Secret made of this directory.
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise KeyFileError(f"the key directory {directory} cannot be read: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        folder = KeyFolder(directory)
        folder.clear()
        yield folder
    except OSError as error:
        raise KeyFileError(f"{error.filename or directory} cannot be changed: {error.strerror}") from error
    finally:
        os.close(descriptor)
