"""What `flask keys list` shows: each key, what it is now, and the files that nobody reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from auth_service.keys.key_set import KeySet, read_key_set
from auth_service.keys.manifest import list_key_files
from auth_service.keys.mounted import resolve
from auth_service.keys.schedule import active_at, replaced_at


@dataclass(frozen=True)
class Row:
    """One key. `retires_at`: from when on a signing key is not accepted any more; refresh keys stay until pruned."""

    kid: str
    file: str
    alg: str
    state: str
    sign_from: datetime | None
    retires_at: datetime | None


def list_keys(directory: Path, now: datetime) -> tuple[list[Row], list[str]]:
    """Return the keys in the order of their use, and the key files the manifest does not name; raises KeyFileError."""
    current = resolve(directory)
    keys = read_key_set(current, now)
    named = {entry.file for entry in keys.entries}
    return [*_signing(keys, now), *_refresh(keys, now)], [name for name in list_key_files(current) if name not in named]


def _signing(keys: KeySet, now: datetime) -> Iterator[Row]:
    for standing in keys.standings(now):
        planned = standing.planned
        yield Row(
            planned.key.kid, planned.file, planned.key.alg, standing.state, planned.sign_from, standing.retires_at
        )


def _refresh(keys: KeySet, now: datetime) -> Iterator[Row]:
    active = active_at(keys.refresh, now)
    for position, planned in enumerate(keys.refresh):
        replaced = replaced_at(keys.refresh, position)
        state = "active" if planned is active else "accepted" if replaced and replaced <= now else "pending"
        yield Row(f"refresh:{planned.key.version}", planned.file, "HMAC", state, planned.sign_from, None)
