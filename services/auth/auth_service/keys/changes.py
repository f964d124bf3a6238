"""What `flask keys` does to a directory of keys, a function for each command. All raise KeyFileError."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from common.jwt import ES256, SigningKey

from auth_service.keys.draft import Draft, open_draft
from auth_service.keys.errors import KeyFileError
from auth_service.keys.folder import open_folder
from auth_service.keys.key_set import PlannedKey
from auth_service.keys.manifest import SINCE_EVER, Entry, read_last_refresh_version, read_manifest
from auth_service.keys.pem import new_signing_key
from auth_service.keys.refresh import RefreshKey, file_name, new_refresh_key, version_of
from auth_service.keys.schedule import replaced_at

FIRST_SIGNING_KEY = "signing.pem"
# A mounted Secret arrives about a minute after it was applied, sometimes more; auth looks every 15 s and verifiers ask
# once a minute. A key that signs before everybody has it makes good tokens look forged.
MIN_LEAD = timedelta(minutes=5)


@dataclass(frozen=True)
class Change:
    """What a command did: the file of the key it was about, the files it made and those it deleted.

    `was_retired` says of a revoked key that nobody took it any more.
    """

    file: str
    sign_from: datetime | None
    made: tuple[str, ...]
    deleted: tuple[str, ...]
    was_retired: bool = False


def init(directory: Path, alg: str = ES256) -> list[str]:
    """Make the directory and what it lacks of a signing key and a refresh key; return the names of the files made.

    What is there is kept, whatever it is called.
    """
    _make_directory(directory)
    with open_folder(directory) as folder:
        entries, last_version = read_manifest(directory), read_last_refresh_version(directory)
        makers: Mapping[str, Callable[[], bytes]] = {
            FIRST_SIGNING_KEY: lambda: new_signing_key(alg),
            file_name(last_version + 1): new_refresh_key,
        }
        kinds = {_is_refresh_key(entry.file) for entry in entries}
        made = [name for name in makers if _is_refresh_key(name) not in kinds]
        for name in made:
            folder.write_key(name, makers[name]())
        if made and folder.has_manifest:
            folder.write_manifest([*entries, *(Entry(name, SINCE_EVER) for name in made)], last_version)
    return made


def rotate(directory: Path, now: datetime, lead: timedelta, alg: str | None = None, *, force: bool = False) -> Change:
    """Plan the reserve, or a new key where there is none of that algorithm, for `lead` from now, and leave a reserve.

    Without `alg` it is that of the newest planned key. Refused without `force`: a lead below MIN_LEAD, and a rotation
    while another one is planned.
    """
    with open_draft(directory, now) as draft:
        if not force:
            _refuse_haste(draft.now, lead, [planned for planned in draft.signing if planned.sign_from])
        alg = alg or _newest(draft).key.alg
        reserve = _find_reserve(draft, alg)
        sign_from = draft.now + lead
        if reserve is None:
            chosen = draft.add_signing_key(alg, sign_from)
        else:
            chosen = draft.date(draft.signing, reserve, sign_from)
        _keep_reserve(draft, alg)
        return Change(chosen.file, sign_from, tuple(draft.made), tuple(draft.dropped))


def rotate_refresh_key(directory: Path, now: datetime, lead: timedelta, *, force: bool = False) -> Change:
    """Plan a new refresh key for `lead` from now; tokens of the older ones stay good. Refused as by `rotate`."""
    with open_draft(directory, now) as draft:
        if not force:
            _refuse_haste(draft.now, lead, draft.refresh)
        sign_from = draft.now + lead
        chosen = draft.add_refresh_key(sign_from)
        return Change(chosen.file, sign_from, tuple(draft.made), tuple(draft.dropped))


def prune(directory: Path, now: datetime, refresh_ttl: timedelta) -> tuple[str, ...]:
    """Take away retired signing keys, and refresh keys replaced longer than `refresh_ttl` ago; return their files."""
    with open_draft(directory, now) as draft:
        refresh = draft.keys.refresh
        for position, planned in enumerate(refresh):
            replaced = replaced_at(refresh, position)
            if replaced is not None and replaced + refresh_ttl <= now:
                draft.drop(draft.refresh, planned)
        return tuple(draft.dropped)


def revoke(directory: Path, now: datetime, kid: str) -> Change:
    """Take away a signing key at once; if it was active, the next one takes over, made if there is none.

    The change names the key that is active then. Of a retired key only the file is left, and goes.
    """
    with open_draft(directory, now) as draft:
        was_retired = _find(draft.retired, kid) is not None
        if not was_retired:
            _drop_signing_key(draft, kid)
        active = draft.keys.active_signing_key(draft.now)
        chosen = next(planned for planned in draft.signing if planned.key.kid == active.kid)
        return Change(chosen.file, chosen.sign_from, tuple(draft.made), tuple(draft.dropped), was_retired)


def revoke_refresh_key(directory: Path, now: datetime, version: int) -> Change:
    """Take away a refresh key, which ends the sessions whose token it made; a new one follows if it was in use.

    The change names the key that is in use then.
    """
    with open_draft(directory, now) as draft:
        found = next((planned for planned in draft.refresh if planned.key.version == version), None)
        if found is None:
            raise KeyFileError(f"there is no refresh key of version {version}; flask keys list shows which there are")
        was_active = draft.keys.active_refresh_key(draft.now).version == version
        draft.drop(draft.refresh, found)
        if was_active:
            _replace_refresh_key(draft)
        active = draft.keys.active_refresh_key(draft.now)
        chosen = next(planned for planned in draft.refresh if planned.key.version == active.version)
        return Change(chosen.file, chosen.sign_from, tuple(draft.made), tuple(draft.dropped))


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KeyFileError(f"{directory} cannot be made: {error.strerror}") from error


def _is_refresh_key(name: str) -> bool:
    return version_of(name) is not None


def _refuse_haste(
    now: datetime, lead: timedelta, keys: list[PlannedKey[SigningKey]] | list[PlannedKey[RefreshKey]]
) -> None:
    if lead < MIN_LEAD:
        raise KeyFileError(
            "a lead below 5 minutes needs --force: a mounted Secret takes minutes to reach every replica, and "
            "verifiers ask once a minute or less often, so tokens of the new key would be refused meanwhile"
        )
    planned = [key for key in keys if key.sign_from is not None and key.sign_from > now]
    if planned:
        raise KeyFileError(
            f"{planned[0].file} is planned for {planned[0].sign_from:%Y-%m-%dT%H:%M:%SZ} already; "
            "wait for that, or add another rotation with --force"
        )


def _newest(draft: Draft) -> PlannedKey[SigningKey]:
    dated = [planned for planned in draft.keys.signing if planned.sign_from is not None]
    return dated[-1] if dated else draft.signing[0]


def _find_reserve(draft: Draft, alg: str) -> PlannedKey[SigningKey] | None:
    return next((key for key in draft.signing if key.sign_from is None and key.key.alg == alg), None)


def _keep_reserve(draft: Draft, alg: str) -> None:
    """There is always one published key more than planned: in an emergency verifiers know it already."""
    if _find_reserve(draft, alg) is None:
        draft.add_signing_key(alg, None)


def _find(keys: list[PlannedKey[SigningKey]], kid: str) -> PlannedKey[SigningKey] | None:
    return next((planned for planned in keys if kid in (planned.key.kid, planned.file)), None)


def _drop_signing_key(draft: Draft, kid: str) -> None:
    found = _find(draft.signing, kid)
    if found is None:
        raise KeyFileError(f"there is no signing key {kid}; flask keys list shows which there are")
    was_active = found.key.kid == draft.keys.active_signing_key(draft.now).kid
    draft.drop(draft.signing, found)
    if was_active:
        _activate_next(draft, found.key.alg)
    _keep_reserve(draft, found.key.alg)


def _activate_next(draft: Draft, alg: str) -> None:
    pending = [key for key in draft.keys.signing if key.sign_from is None or key.sign_from > draft.now]
    if pending:
        draft.date(draft.signing, pending[0], draft.now)
    else:
        draft.add_signing_key(alg, draft.now)


def _replace_refresh_key(draft: Draft) -> None:
    pending = [key for key in draft.keys.refresh if key.sign_from is None or key.sign_from > draft.now]
    if pending:
        draft.date(draft.refresh, pending[0], draft.now)
    else:
        draft.add_refresh_key(draft.now)
