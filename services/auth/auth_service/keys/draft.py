"""A plan under change: keys are added, dated and dropped, and the whole is saved at the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from common.jwt import SigningKey

from auth_service.keys.errors import KeyFileError
from auth_service.keys.folder import KeyFolder, open_folder
from auth_service.keys.key_set import Key, KeySet, PlannedKey, read_key_set
from auth_service.keys.manifest import read_last_refresh_version
from auth_service.keys.pem import SUFFIX, new_signing_key, parse_signing_key
from auth_service.keys.refresh import MAX_VERSION, RefreshKey, file_name, new_refresh_key, parse_refresh_key
from auth_service.keys.schedule import State, in_order


class Draft:
    """The keys of a directory at a moment. New files are written at once, all else by `save`."""

    def __init__(self, folder: KeyFolder, keys: KeySet, now: datetime) -> None:
        self.now = now
        self.signing = list(keys.signing)
        self.refresh = list(keys.refresh)
        self.made: list[str] = []
        self.dropped: list[str] = []
        self.retired: list[PlannedKey[SigningKey]] = []
        self._folder = folder
        # Also of files without a plan, which an interrupted command may have left.
        self._last_version = max([read_last_refresh_version(folder.directory), *folder.refresh_versions])

    @property
    def keys(self) -> KeySet:
        """The set as it will be read once saved; there has to be a key of each kind."""
        return KeySet(tuple(in_order(self.signing)), tuple(in_order(self.refresh)))

    def add_signing_key(self, alg: str, sign_from: datetime | None) -> PlannedKey[SigningKey]:
        """Make a key, in a file named after the day and the key."""
        pem = new_signing_key(alg)
        key = parse_signing_key(pem)
        planned = PlannedKey(key, f"signing-{self.now:%Y%m%d}-{key.kid[:8]}{SUFFIX}", sign_from)
        self._write(planned, pem)
        self.signing.append(planned)
        return planned

    def add_refresh_key(self, sign_from: datetime) -> PlannedKey[RefreshKey]:
        """Make a key of the version after all there have been."""
        version = self._last_version + 1
        if version > MAX_VERSION:
            raise KeyFileError(f"refresh keys have versions up to {MAX_VERSION}, and that one is taken")
        content = new_refresh_key()
        planned = PlannedKey(parse_refresh_key(content, version), file_name(version), sign_from)
        self._write(planned, content)
        self._last_version = version
        self.refresh.append(planned)
        return planned

    def date(self, plans: list[PlannedKey[Key]], planned: PlannedKey[Key], sign_from: datetime) -> PlannedKey[Key]:
        """Plan a key of one of the two lists for a moment, in place of what was planned for it."""
        dated = replace(planned, sign_from=sign_from)
        plans.remove(planned)
        plans.append(dated)  # of two keys with one date the one listed later follows
        return dated

    def drop(self, plans: list[PlannedKey[Key]], planned: PlannedKey[Key]) -> None:
        """Take a key out of one of the two lists; its file goes once the plan is saved."""
        plans.remove(planned)
        self.dropped.append(planned.file)

    def drop_retired(self) -> None:
        """Before anything else is changed: taking away its successor would give a retired key new life."""
        for standing in list(self.keys.standings(self.now)):
            if standing.state is State.RETIRED:
                self.retired.append(standing.planned)
                self.drop(self.signing, standing.planned)

    def save(self) -> None:
        """Write the manifest, then delete the files it does not name any more."""
        self._folder.write_manifest(self.keys.entries, self._last_version)
        self._folder.delete(self.dropped)

    def _write(self, planned: PlannedKey[Key], content: bytes) -> None:
        self._folder.write_key(planned.file, content)
        self.made.append(planned.file)


@contextmanager
def open_draft(directory: Path, now: datetime) -> Iterator[Draft]:
    """Give a draft of the plan without retired keys, and save it at the end of the block unless that raises.

    Raises KeyFileError, also when the directory is at fault as it is. `now` is cut to the second, for people's sake.
    """
    with open_folder(directory) as folder:
        draft = Draft(folder, read_key_set(directory, now), now.replace(microsecond=0))
        if not folder.has_manifest:
            _note_first_uses(draft)
            # A second key without a manifest would leave open which one signs, so it comes before any.
            draft.save()
        draft.drop_retired()
        try:
            yield draft
            # What could not be read any more could not be mended by a command either.
            draft.keys.check_number(draft.now, "the plan")
        except BaseException:
            folder.delete(draft.made)
            raise
        draft.save()


def _note_first_uses(draft: Draft) -> None:
    """Without a manifest nobody knows when the newest of several refresh keys came into use: at the latest now."""
    for planned in draft.refresh[1:]:
        draft.date(draft.refresh, planned, draft.now)
