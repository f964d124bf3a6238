"""All keys of a directory, read and checked at once; what each is for at a moment follows from the plan."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

from common.jwt import SigningKey, VerifyingKey
from common.jwt.jwks import MAX_KEYS

from auth_service.keys.errors import KeyFileError
from auth_service.keys.manifest import FILE_NAME, Entry, read_manifest
from auth_service.keys.pem import read_signing_key
from auth_service.keys.refresh import RefreshKey, read_refresh_key, version_of
from auth_service.keys.schedule import State, active_at, in_order, retires_at, state_at

Key = TypeVar("Key", SigningKey, RefreshKey)


@dataclass(frozen=True)
class PlannedKey(Generic[Key]):
    """A key, its file, and from when on it is used."""

    key: Key
    file: str
    sign_from: datetime | None


@dataclass(frozen=True)
class Standing:
    """What one signing key is at a moment."""

    planned: PlannedKey[SigningKey]
    state: State
    retires_at: datetime | None


@dataclass(frozen=True)
class KeySet:
    """Never changed, only replaced whole; both kinds in the order of their use, and at least one of each."""

    signing: tuple[PlannedKey[SigningKey], ...]
    refresh: tuple[PlannedKey[RefreshKey], ...]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The plan, as a manifest has it."""
        signing = tuple(Entry(planned.file, planned.sign_from) for planned in self.signing)
        return signing + tuple(Entry(planned.file, planned.sign_from) for planned in self.refresh)

    def active_signing_key(self, now: datetime) -> SigningKey:
        return active_at(self.signing, now).key

    def standings(self, now: datetime) -> Iterator[Standing]:
        for position, planned in enumerate(self.signing):
            yield Standing(planned, state_at(self.signing, position, now), retires_at(self.signing, position))

    def published(self, now: datetime) -> tuple[VerifyingKey, ...]:
        """What verifiers may know: all signing keys but the retired ones."""
        standings = (standing for standing in self.standings(now) if standing.state is not State.RETIRED)
        return tuple(standing.planned.key.verifying_key for standing in standings)

    def active_refresh_key(self, now: datetime) -> RefreshKey:
        return active_at(self.refresh, now).key

    def check_number(self, now: datetime, place: str) -> None:
        """Raise KeyFileError if more keys are published than verifiers take; `place` says where, for people."""
        if len(self.published(now)) > MAX_KEYS:
            raise KeyFileError(f"{place} publishes more than {MAX_KEYS} keys, which verifiers refuse")

    @cached_property
    def by_kid(self) -> Mapping[str, tuple[VerifyingKey, datetime | None]]:
        """Each signing key's public half by its `kid`, with the moment from which it is retired, if there is one."""
        return {
            planned.key.kid: (planned.key.verifying_key, retires_at(self.signing, position))
            for position, planned in enumerate(self.signing)
        }

    @cached_property
    def by_version(self) -> Mapping[int, RefreshKey]:
        return {planned.key.version: planned.key for planned in self.refresh}


def read_key_set(directory: Path, now: datetime) -> KeySet:
    """Return the keys of a directory; raises KeyFileError if one of them cannot be used, or too many are published."""
    entries = read_manifest(directory)
    signing = [_read_signing_key(directory, entry) for entry in entries if version_of(entry.file) is None]
    refresh = [_read_refresh_key(directory, entry) for entry in entries if version_of(entry.file)]
    named = f"the {FILE_NAME} of {directory}" if (directory / FILE_NAME).exists() else str(directory)
    if not signing:
        raise KeyFileError(f"{named} holds no *.pem file: flask keys init makes one")
    if not refresh:
        raise KeyFileError(f"{named} holds no refresh-<version>.key: flask keys init makes one")
    keys = KeySet(tuple(in_order(signing)), tuple(in_order(refresh)))
    if len(keys.by_kid) != len(signing):
        raise KeyFileError(f"two files of {directory} hold one signing key")
    keys.check_number(now, named)
    return keys


def _read_signing_key(directory: Path, entry: Entry) -> PlannedKey[SigningKey]:
    return PlannedKey(read_signing_key(directory / entry.file), entry.file, entry.sign_from)


def _read_refresh_key(directory: Path, entry: Entry) -> PlannedKey[RefreshKey]:
    key = read_refresh_key(directory / entry.file, version_of(entry.file) or 0)
    return PlannedKey(key, entry.file, entry.sign_from)
