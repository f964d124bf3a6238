"""What `flask keys` does to a directory: each step leaves a whole that a running service can read."""

import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from auth_service.keys import KeyDirectory, KeyFileError, changes
from auth_service.keys.folder import KeyFolder
from auth_service.keys.listing import list_keys
from auth_service.keys.manifest import read_manifest
from auth_service.keys.pem import new_signing_key, read_signing_key
from auth_service.keys.refresh import new_refresh_key
from auth_service.keys.schedule import RETIRING_PERIOD
from common.jwt.jwks import MAX_KEYS
from common.testing.clock import SettableClock

NOW = SettableClock().now
DAY = timedelta(days=1)
WritePlan = Callable[[Path, dict[str, str | None]], None]


def states(directory: Path, now: datetime = NOW) -> list[str]:
    return [row.state for row in list_keys(directory, now)[0]]


def files(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def kid(directory: Path, name: str) -> str:
    return read_signing_key(directory / name).kid


def test_the_first_init_makes_both_keys_and_the_second_keeps_them(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "keys"
    assert changes.init(directory) == ["signing.pem", "refresh-1.key"]
    content = {name: (directory / name).read_bytes() for name in files(directory)}
    assert changes.init(directory) == []
    assert {name: (directory / name).read_bytes() for name in files(directory)} == content
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {(directory / name).stat().st_mode & 0o777 for name in content} == {0o600}


def test_what_an_older_release_made_is_kept_and_completed(tmp_path: Path) -> None:
    (tmp_path / "mine.pem").write_bytes(new_signing_key("RS256"))
    assert changes.init(tmp_path) == ["refresh-1.key"]
    assert KeyDirectory(tmp_path).active_signing_key().alg == "RS256"


def test_a_manifest_that_names_one_kind_only_is_completed(tmp_path: Path, write_plan: WritePlan) -> None:
    write_plan(tmp_path, {"mine.pem": None})
    assert changes.init(tmp_path) == ["refresh-1.key"]
    assert [entry.file for entry in read_manifest(tmp_path)] == ["mine.pem", "refresh-1.key"]


def test_many_inits_at_once_make_one_key_of_each_kind_and_leave_nothing_beside(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: changes.init(tmp_path), range(8)))
    assert sorted(made, key=len)[-1] == ["signing.pem", "refresh-1.key"]
    assert made.count([]) == 7
    assert files(tmp_path) == {"signing.pem", "refresh-1.key"}


def test_the_first_rotation_writes_a_manifest_and_leaves_a_reserve(directory: Path) -> None:
    change = changes.rotate(directory, NOW, DAY)
    assert change.sign_from == NOW + DAY
    assert len(change.made) == 2
    assert states(directory) == ["active", "pending", "pending", "active"]
    keys = KeyDirectory(directory, lambda: NOW + DAY)
    assert keys.active_signing_key().kid == kid(directory, change.file)
    assert {(directory / name).stat().st_mode & 0o777 for name in files(directory)} == {0o600}


def test_a_running_service_sees_no_fault_at_any_step_of_a_rotation(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service looks after each file that is written, replaced or deleted."""
    keys = KeyDirectory(directory, lambda: NOW)
    looks: list[int] = []

    def look(_: object) -> None:
        keys.reload_if_changed()
        assert keys._fault is None
        looks.append(len(keys.published_keys()))

    monkeypatch.setattr("auth_service.keys.folder.KeyFolder._flush_names", look)
    changes.rotate(directory, NOW, DAY)
    changes.revoke(directory, NOW, kid(directory, "signing.pem"))
    changes.revoke_refresh_key(directory, NOW, 1)
    assert {1, 2, 3} <= set(looks)


def test_the_next_rotation_takes_the_reserve_that_everybody_knows(directory: Path) -> None:
    first = changes.rotate(directory, NOW, DAY)
    (reserve,) = set(first.made) - {first.file}
    second = changes.rotate(directory, NOW + 2 * DAY, DAY)
    assert second.file == reserve
    assert len(second.made) == 1
    assert second.deleted == ("signing.pem",)  # retired, since a day has passed
    assert not (directory / "signing.pem").exists()


def test_another_algorithm_gets_a_key_and_a_reserve_of_its_own(directory: Path) -> None:
    changes.rotate(directory, NOW, DAY)
    change = changes.rotate(directory, NOW + 2 * DAY, DAY, "RS256")
    assert len(change.made) == 2
    later = KeyDirectory(directory, lambda: NOW + 3 * DAY)
    assert later.active_signing_key().alg == "RS256"
    assert changes.rotate(directory, NOW + 4 * DAY, DAY).file in change.made  # the newest key says which algorithm


def test_a_lead_too_short_for_a_mounted_secret_wants_force(directory: Path) -> None:
    with pytest.raises(KeyFileError, match="below 5 minutes needs --force"):
        changes.rotate(directory, NOW, timedelta(seconds=299))
    with pytest.raises(KeyFileError, match="below 5 minutes needs --force"):
        changes.rotate_refresh_key(directory, NOW, timedelta(0))
    assert len(files(directory) - {"manifest.json"}) == 2
    assert changes.rotate(directory, NOW, timedelta(minutes=5)).made
    assert changes.rotate(directory, NOW, timedelta(0), force=True).sign_from == NOW


def test_a_rotation_beside_a_planned_one_wants_force(directory: Path) -> None:
    first = changes.rotate(directory, NOW, DAY)
    with pytest.raises(KeyFileError, match=rf"{first.file} is planned for 2026-03-02T12:00:00Z already"):
        changes.rotate(directory, NOW + DAY - timedelta(seconds=1), DAY)
    assert changes.rotate(directory, NOW + DAY, DAY)
    assert changes.rotate(directory, NOW + DAY, 2 * DAY, force=True)
    assert changes.rotate_refresh_key(directory, NOW, DAY)
    with pytest.raises(KeyFileError, match="planned"):
        changes.rotate_refresh_key(directory, NOW, DAY)


def test_a_new_refresh_key_is_known_before_it_is_used_and_the_old_one_stays(directory: Path) -> None:
    change = changes.rotate_refresh_key(directory, NOW, DAY)
    assert (change.file, change.made) == ("refresh-2.key", ("refresh-2.key",))
    now, later = KeyDirectory(directory, lambda: NOW), KeyDirectory(directory, lambda: NOW + DAY)
    assert (now.refresh_key().version, later.refresh_key().version) == (1, 2)
    assert now.find_refresh_key(2) == later.refresh_key()
    assert later.find_refresh_key(1) == now.refresh_key()


def test_pruning_deletes_what_is_retired_and_nothing_else(directory: Path) -> None:
    changes.rotate(directory, NOW, DAY)
    changes.rotate_refresh_key(directory, NOW, DAY)
    retired, unused = NOW + DAY + RETIRING_PERIOD, NOW + 31 * DAY
    month = timedelta(days=30)
    assert changes.prune(directory, retired - timedelta(seconds=1), month) == ()
    assert changes.prune(directory, retired, month) == ("signing.pem",)
    assert changes.prune(directory, unused - timedelta(seconds=1), month) == ()
    assert changes.prune(directory, unused, month) == ("refresh-1.key",)
    assert changes.prune(directory, unused + 3650 * DAY, month) == ()
    assert states(directory, unused) == ["active", "pending", "active"]
    assert "signing.pem" not in files(directory)


def test_a_directory_without_a_manifest_is_not_pruned(directory: Path) -> None:
    (directory / "refresh-2.key").write_bytes(new_refresh_key())
    assert changes.prune(directory, NOW, DAY) == ()
    assert KeyDirectory(directory, lambda: NOW).find_refresh_key(1)


def test_revoking_the_active_key_puts_the_reserve_in_its_place_at_once(directory: Path) -> None:
    rotated = changes.rotate(directory, NOW, DAY)
    change = changes.revoke(directory, NOW, kid(directory, "signing.pem"))
    assert change.file == rotated.file  # planned already, and earlier than the reserve
    assert change.made == ()
    assert change.deleted == ("signing.pem",)
    keys = KeyDirectory(directory, lambda: NOW)
    assert keys.active_signing_key().kid == kid(directory, rotated.file)
    assert states(directory) == ["active", "pending", "active"]


def test_revoking_the_only_key_makes_another_and_a_reserve(directory: Path) -> None:
    change = changes.revoke(directory, NOW, "signing.pem")
    assert change.file in change.made
    assert len(change.made) == 2
    assert states(directory) == ["active", "pending", "active"]


def test_revoking_a_reserve_or_a_retiring_key_changes_nothing_else(directory: Path) -> None:
    first = changes.rotate(directory, NOW, DAY)
    (reserve,) = set(first.made) - {first.file}
    assert changes.revoke(directory, NOW, kid(directory, reserve)).file == "signing.pem"
    assert states(directory) == ["active", "pending", "pending", "active"]
    change = changes.revoke(directory, NOW + DAY, kid(directory, "signing.pem"))
    assert (change.file, change.made, change.deleted) == (first.file, (), ("signing.pem",))


def test_of_a_retired_key_only_the_file_goes(directory: Path) -> None:
    rotated = changes.rotate(directory, NOW, DAY)
    now = NOW + 3 * DAY
    change = changes.revoke(directory, now, kid(directory, "signing.pem"))
    assert change == changes.Change(rotated.file, NOW + DAY, (), ("signing.pem",), was_retired=True)
    assert states(directory, now) == ["active", "pending", "active"]
    assert "signing.pem" not in files(directory)
    with pytest.raises(KeyFileError, match="no signing key signing"):
        changes.revoke(directory, now, "signing.pem")


def test_taking_away_its_successor_gives_a_retired_key_no_new_life(directory: Path) -> None:
    """A retired, B active, then C: without B the successor of A would be C, and A be published once more."""
    old = kid(directory, "signing.pem")
    second = changes.rotate(directory, NOW, DAY)
    now = NOW + 3 * DAY
    changes.revoke(directory, now, second.file)
    keys = KeyDirectory(directory, lambda: now)
    assert keys.get(old) is None
    assert not (directory / "signing.pem").exists()


def test_an_unknown_name_changes_nothing(directory: Path) -> None:
    changes.rotate(directory, NOW, DAY)
    before = {name: (directory / name).read_bytes() for name in files(directory)}
    with pytest.raises(KeyFileError, match="no signing key nobody"):
        changes.revoke(directory, NOW, "nobody")
    with pytest.raises(KeyFileError, match="no refresh key of version 7"):
        changes.revoke_refresh_key(directory, NOW, 7)
    assert {name: (directory / name).read_bytes() for name in files(directory)} == before


def test_revoking_the_refresh_key_in_use_makes_the_next_version(directory: Path) -> None:
    change = changes.revoke_refresh_key(directory, NOW, 1)
    assert (change.file, change.made, change.deleted) == ("refresh-2.key", ("refresh-2.key",), ("refresh-1.key",))
    keys = KeyDirectory(directory, lambda: NOW)
    assert (keys.refresh_key().version, keys.find_refresh_key(1)) == (2, None)


def test_revoking_the_refresh_key_in_use_hastens_the_planned_one(directory: Path) -> None:
    changes.rotate_refresh_key(directory, NOW, DAY)
    change = changes.revoke_refresh_key(directory, NOW, 1)
    assert (change.file, change.sign_from, change.made) == ("refresh-2.key", NOW, ())


def test_revoking_a_planned_refresh_key_leaves_the_one_in_use(directory: Path) -> None:
    changes.rotate_refresh_key(directory, NOW, DAY)
    change = changes.revoke_refresh_key(directory, NOW, 2)
    assert (change.file, change.made, change.deleted) == ("refresh-1.key", (), ("refresh-2.key",))


def test_a_version_that_was_revoked_is_never_given_again(directory: Path) -> None:
    for version in (2, 3):
        assert changes.rotate_refresh_key(directory, NOW, DAY).file == f"refresh-{version}.key"
        changes.revoke_refresh_key(directory, NOW, version)
        changes.rotate(directory, NOW, DAY, force=True)  # any other command keeps it in mind
    assert json.loads((directory / "manifest.json").read_bytes())["last_refresh_version"] == 3
    assert KeyDirectory(directory).refresh_key().version == 1
    assert changes.rotate_refresh_key(directory, NOW, DAY).file == "refresh-4.key"
    assert json.loads((directory / "manifest.json").read_bytes()).keys() == {"keys"}  # a key says it now


def test_init_gives_no_version_again_either(directory: Path) -> None:
    changes.rotate_refresh_key(directory, NOW, DAY)
    changes.revoke_refresh_key(directory, NOW, 2)
    manifest = json.loads((directory / "manifest.json").read_bytes())
    manifest["keys"] = [key for key in manifest["keys"] if key["file"] != "refresh-1.key"]
    (directory / "manifest.json").write_text(json.dumps(manifest))
    assert changes.init(directory) == ["refresh-3.key"]
    assert [entry.file for entry in read_manifest(directory)][-1] == "refresh-3.key"


def test_the_file_of_an_interrupted_rotation_does_not_stop_the_next(directory: Path) -> None:
    changes.rotate_refresh_key(directory, NOW, DAY)
    (directory / "refresh-3.key").write_bytes(new_refresh_key())  # killed before the manifest named it
    change = changes.rotate_refresh_key(directory, NOW, DAY, force=True)
    assert (change.file, change.made) == ("refresh-4.key", ("refresh-4.key",))


def test_what_a_killed_command_left_half_written_is_deleted_by_the_next(directory: Path) -> None:
    (directory / ".new-x1").write_bytes(new_signing_key("ES256"))
    changes.rotate(directory, NOW, DAY)
    assert not [name for name in files(directory) if name.startswith(".")]


def test_a_file_that_is_in_the_way_is_named_and_kept(tmp_path: Path, write_plan: WritePlan) -> None:
    write_plan(tmp_path, {"refresh-1.key": None})
    (tmp_path / "signing.pem").write_bytes(b"mine")
    with pytest.raises(KeyFileError, match=r"signing\.pem is there and manifest\.json does not name it"):
        changes.init(tmp_path)
    assert files(tmp_path) == {"manifest.json", "refresh-1.key", "signing.pem"}
    assert (tmp_path / "signing.pem").read_bytes() == b"mine"


def test_a_rotation_to_more_keys_than_verifiers_take_is_refused_and_changes_nothing(directory: Path) -> None:
    for _ in range(MAX_KEYS - 2):
        changes.rotate(directory, NOW, DAY, force=True)
    before = files(directory)
    with pytest.raises(KeyFileError, match="more than 16 keys"):
        changes.rotate(directory, NOW, DAY, force=True)
    assert files(directory) == before
    assert len(KeyDirectory(directory, lambda: NOW).published_keys()) == MAX_KEYS


def test_there_is_no_version_after_the_last(directory: Path) -> None:
    (directory / "refresh-1.key").rename(directory / "refresh-9999.key")
    with pytest.raises(KeyFileError, match="up to 9999"):
        changes.rotate_refresh_key(directory, NOW, DAY)


def test_a_step_that_fails_leaves_the_plan_and_no_stray_key(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full after the first of two new keys."""
    write_key = KeyFolder.write_key
    written: list[str] = []

    def write_one(folder: KeyFolder, name: str, content: bytes) -> None:
        if written:
            raise OSError(28, "No space left on device")
        written.append(name)
        write_key(folder, name, content)

    with monkeypatch.context() as full:
        full.setattr(KeyFolder, "write_key", write_one)
        with pytest.raises(KeyFileError, match="No space left"):
            changes.rotate(directory, NOW, DAY)
    assert written
    assert files(directory) == {"signing.pem", "refresh-1.key", "manifest.json"}
    assert states(directory) == ["active", "active"]


def test_a_faulty_directory_is_not_changed(directory: Path) -> None:
    (directory / "signing.pem").write_text("broken")
    with pytest.raises(KeyFileError, match="not an unencrypted private key"):
        changes.rotate(directory, NOW, DAY)
    assert files(directory) == {"signing.pem", "refresh-1.key"}


def test_a_mounted_secret_is_refused_with_what_to_do(tmp_path: Path) -> None:
    version = tmp_path / "..2026_05_04"
    version.mkdir()
    changes.init(version)
    (tmp_path / "..data").symlink_to(version.name)
    for change in (
        lambda: changes.init(tmp_path),
        lambda: changes.rotate(tmp_path, NOW, DAY),
        lambda: changes.prune(tmp_path, NOW, DAY),
        lambda: changes.revoke(tmp_path, NOW, "signing.pem"),
    ):
        with pytest.raises(KeyFileError, match=r"mounted Secret.*copy its files.*apply the Secret"):
            change()
    assert list_keys(tmp_path, NOW)[1] == []


def test_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KeyFileError, match="cannot be made"):
        changes.init(tmp_path / "file")
    with pytest.raises(KeyFileError, match="cannot be read"):
        changes.rotate(tmp_path / "absent", NOW, DAY)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_may_not_be_written_is_refused(directory: Path) -> None:
    directory.chmod(0o500)
    with pytest.raises(KeyFileError, match="cannot be changed: Permission denied"):
        changes.rotate(directory, NOW, DAY)
    directory.chmod(0o700)


def test_two_commands_at_once_wait_for_each_other(directory: Path) -> None:
    barrier = threading.Barrier(4)

    def rotate(number: int) -> object:
        barrier.wait(10)
        return changes.rotate(directory, NOW, number * DAY, force=True)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(rotate, range(1, 5)))
    assert states(directory) == ["active", *["pending"] * 5, "active"]
    assert files(directory) == {entry.file for entry in read_manifest(directory)} | {"manifest.json"}
