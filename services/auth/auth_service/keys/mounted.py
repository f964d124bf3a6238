"""How a directory looks from outside: where its content really is, and whether that may have changed.

Kubernetes replaces the files of a mounted Secret at one stroke by renaming the link `..data` over, which points to a
directory of that version. Read through it file by file, two versions could mix.
"""

import os
from pathlib import Path

LINK = "..data"

Fingerprint = tuple[object, ...]


def is_mounted(directory: Path) -> bool:
    """Whether its files belong to a Secret's mount, where nobody but the kubelet can write."""
    return (directory / LINK).is_symlink()


def resolve(directory: Path) -> Path:
    """The directory that holds one version of the files and is never changed, or the directory itself. Never raises."""
    # Not Path.resolve, which raises for a link to itself.
    return Path(os.path.realpath(directory / LINK)) if is_mounted(directory) else directory


def fingerprint(directory: Path) -> Fingerprint:
    """A value that differs once the files, or which directory they are in, may have changed. Never raises."""
    current = resolve(directory)
    try:
        names = sorted(os.listdir(current))
    except OSError as error:
        return (str(current), error.errno)
    return (str(current), *((name, _look(current / name)) for name in names))


def _look(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError as error:
        return (error.errno or 0,)
    # The time of change is there for a file that becomes readable, or is replaced by one as old and long.
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
