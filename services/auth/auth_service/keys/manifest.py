"""The plan beside the key files, `manifest.json`: from when on each key is used.

    {"keys": [{"file": "signing.pem", "sign_from": "2026-11-23T10:00:00Z"}, {"file": "next.pem", "sign_from": null}]}

A key without a date is a reserve. `"last_refresh_version": 7` beside the keys says that refresh keys up to that version
were given, where none of those left says so: tokens name their key by its version, so none is given twice.

Without a manifest the one `*.pem` signs since ever, and so does the refresh key of the highest version; a second
`*.pem` would leave open which one signs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson
from common.jwt.encoding import parse_json_object

from auth_service.keys import refresh
from auth_service.keys.errors import KeyFileError
from auth_service.keys.pem import SUFFIX

FILE_NAME = "manifest.json"
SINCE_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_VERSION = "last_refresh_version"
_YEAR_WITHOUT_A_NEXT = 9999  # hours added to a moment in it may make none


@dataclass(frozen=True)
class Entry:
    """A key file and the moment (aware UTC) from which its key is used; None: not yet planned."""

    file: str
    sign_from: datetime | None


def read_manifest(directory: Path) -> tuple[Entry, ...]:
    """Return the entries of the manifest, or those that stand for a directory without one; raises KeyFileError."""
    manifest = _read(directory)
    return _without_manifest(directory) if manifest is None else manifest[0]


def read_last_refresh_version(directory: Path) -> int:
    """Return the highest version a refresh key ever had, as far as the manifest tells, else 0; raises KeyFileError."""
    entries, noted = _read(directory) or ((), 0)
    return _last_version(entries, noted)


def manifest_document(entries: Sequence[Entry], last_refresh_version: int = 0) -> bytes:
    """Return the manifest of these entries, to be read by people too."""
    members: dict[str, object] = {
        "keys": [{"file": entry.file, "sign_from": _text(entry.sign_from)} for entry in entries]
    }
    if last_refresh_version > _last_version(entries):
        members[_LAST_VERSION] = last_refresh_version
    return orjson.dumps(members, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def list_key_files(directory: Path) -> list[str]:
    """The names that look like keys, signing keys first; raises KeyFileError."""
    try:
        names = [path.name for path in directory.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise KeyFileError(f"the key directory {directory} cannot be read: {error.strerror}") from error
    pems = sorted(name for name in names if name.endswith(SUFFIX))
    return pems + sorted((name for name in names if refresh.version_of(name)), key=refresh.version_of)  # type: ignore[arg-type] # only names with a version


def _without_manifest(directory: Path) -> tuple[Entry, ...]:
    names = list_key_files(directory)
    pems = [name for name in names if name.endswith(SUFFIX)]
    if len(pems) > 1:
        raise KeyFileError(f"{directory} holds {', '.join(pems)} and no {FILE_NAME}: leave one private key there")
    return tuple(Entry(name, SINCE_EVER) for name in names)


def _read(directory: Path) -> tuple[tuple[Entry, ...], int] | None:
    """What the manifest says, None if there is none."""
    path = directory / FILE_NAME
    try:
        document = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return _parse(document)
    except (ValueError, RecursionError) as error:
        raise KeyFileError(f"{path} is not a manifest of keys: {error}") from error


def _last_version(entries: Iterable[Entry], noted: int = 0) -> int:
    return max([noted, *(refresh.version_of(entry.file) or 0 for entry in entries)])


def _parse(document: bytes) -> tuple[tuple[Entry, ...], int]:
    members = parse_json_object(document)
    if members.keys() - {_LAST_VERSION} != {"keys"} or not isinstance(members["keys"], list):
        raise ValueError('it is {"keys": [...]}')
    entries = tuple(_parse_entry(entry) for entry in members["keys"])
    if len({entry.file for entry in entries}) != len(entries):
        raise ValueError("a file is named twice")
    return entries, _parse_version(members.get(_LAST_VERSION, 0))


def _parse_entry(value: object) -> Entry:
    if not isinstance(value, dict) or value.keys() != {"file", "sign_from"}:
        raise ValueError('each key is {"file": ..., "sign_from": ...}')
    name = value["file"]
    if not isinstance(name, str) or not _is_key_file(name):
        raise ValueError(f"a key is the name of a *.pem file or {refresh.file_name(1)}, and not {name!r}")
    return Entry(name, _parse_moment(value["sign_from"]))


def _is_key_file(name: str) -> bool:
    """Whether it is a name of a key, and a plain one: what is read lies in the directory."""
    return refresh.version_of(name) is not None or (
        name.endswith(SUFFIX) and not name.startswith(".") and not {"/", "\0"} & set(name)
    )


def _parse_version(value: object) -> int:
    if type(value) is not int or not 0 <= value <= refresh.MAX_VERSION:
        raise ValueError(f"{_LAST_VERSION} is a number up to {refresh.MAX_VERSION}")
    return value


def _parse_moment(value: object) -> datetime | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    if moment is None or moment.tzinfo is None or not 1970 <= moment.year < _YEAR_WITHOUT_A_NEXT:
        raise ValueError("sign_from is null or a time with its zone, as 2026-11-23T10:00:00Z")
    return moment.astimezone(UTC)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
