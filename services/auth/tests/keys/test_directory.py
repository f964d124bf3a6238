"""The keys of a running service: what they do as time passes, and what a changed directory does to them."""

import os
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from auth_service.keys import KeyDirectory, KeyFileError, changes
from auth_service.keys import directory as directory_module
from auth_service.keys.mounted import fingerprint, resolve
from auth_service.keys.pem import new_signing_key
from auth_service.keys.refresh import new_refresh_key
from auth_service.keys.schedule import RETIRING_PERIOD
from common.testing.clock import SettableClock
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

WritePlan = Callable[[Path, dict[str, str | None]], None]

T0 = SettableClock().now
SWITCH = "2026-03-02T12:00:00Z"
PLAN: dict[str, str | None] = {
    "old.pem": "2026-01-01T00:00:00Z",
    "new.pem": SWITCH,
    "reserve.pem": None,
    "refresh-1.key": "2026-01-01T00:00:00Z",
    "refresh-2.key": SWITCH,
}


@pytest.fixture
def planned(tmp_path: Path, write_plan: WritePlan) -> Path:
    write_plan(tmp_path / "keys", PLAN)
    return tmp_path / "keys"


@pytest.fixture
def kid_of(planned: Path) -> Callable[[str], str]:
    from auth_service.keys.pem import read_signing_key

    return lambda name: read_signing_key(planned / f"{name}.pem").kid


def has_failed() -> float | None:
    return REGISTRY.get_sample_value("signing_keys_reload_failed")


def loaded() -> float:
    return REGISTRY.get_sample_value("signing_key_reloads_total", {"outcome": "loaded"}) or 0


def test_a_directory_without_a_manifest_signs_since_ever(directory: Path) -> None:
    keys = KeyDirectory(directory)
    key = keys.active_signing_key()
    assert keys.get(key.kid) == key.verifying_key
    assert keys.published_keys() == (key.verifying_key,)
    assert keys.get("A" * 43) is None
    assert keys.refresh_key() == keys.find_refresh_key(1)
    assert keys.find_refresh_key(2) is None


def test_the_clock_alone_moves_keys_through_their_states(
    planned: Path, kid_of: Callable[[str], str], clock: Any
) -> None:
    keys = KeyDirectory(planned, clock)
    old, new, reserve = kid_of("old"), kid_of("new"), kid_of("reserve")

    def published() -> list[str]:
        return [key.kid for key in keys.published_keys()]

    assert (keys.active_signing_key().kid, keys.refresh_key().version) == (old, 1)
    assert published() == [old, new, reserve]
    clock.now = datetime.fromisoformat(SWITCH) - timedelta(microseconds=1)
    assert (keys.active_signing_key().kid, keys.refresh_key().version) == (old, 1)
    clock.now = datetime.fromisoformat(SWITCH)
    assert (keys.active_signing_key().kid, keys.refresh_key().version) == (new, 2)
    assert keys.find_refresh_key(1)
    clock.now += RETIRING_PERIOD - timedelta(microseconds=1)
    assert keys.get(old)
    assert published() == [old, new, reserve]
    clock.advance(0.000001)
    assert keys.get(old) is None
    assert published() == [new, reserve]
    assert (keys.get(new), keys.get(reserve)) == keys.published_keys()


def test_replicas_flip_together_whenever_they_read(planned: Path, clock: Any) -> None:
    early = KeyDirectory(planned, clock)
    clock.advance(24 * 3600 - 1)
    late = KeyDirectory(planned, clock)
    for _ in range(3):
        assert early.active_signing_key() == late.active_signing_key()
        assert early.published_keys() == late.published_keys()
        clock.advance(1)
    clock.advance(-3)
    assert early.active_signing_key() == late.active_signing_key()


def test_an_unchanged_directory_is_not_read_again(planned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = KeyDirectory(planned)
    monkeypatch.setattr(directory_module, "read_key_set", lambda *_: 1 / 0)
    assert not keys.reload_if_changed()


def test_a_new_manifest_is_taken_over_and_changed_kids_are_announced(
    planned: Path, kid_of: Callable[[str], str], write_plan: WritePlan, clock: Any
) -> None:
    keys = KeyDirectory(planned, clock)
    heard: list[str] = []
    keys.on_change(lambda: 1 / 0)
    keys.on_change(lambda: heard.append("changed"))
    before = loaded()
    write_plan(planned, PLAN | {"reserve.pem": "2026-03-03T12:00:00Z"})
    assert keys.reload_if_changed()
    assert heard == []  # the same keys with other dates
    write_plan(planned, PLAN | {"another.pem": None})
    with capture_logs() as events:
        assert keys.reload_if_changed()
    assert heard == ["changed"]
    assert [event["event"] for event in events] == ["signing_keys_changed", "signing_keys_callback_failed"]
    assert keys.get(kid_of("another"))
    assert loaded() == before + 2


def test_a_revoked_key_is_gone_at_the_next_look_and_the_reserve_signs(
    planned: Path, kid_of: Callable[[str], str], clock: Any
) -> None:
    keys = KeyDirectory(planned, clock)
    old, new = kid_of("old"), kid_of("new")
    changes.revoke(planned, clock(), old)
    assert keys.reload_if_changed()
    assert keys.get(old) is None
    assert keys.active_signing_key().kid == new


SPOILERS: dict[str, Callable[[Path], object]] = {
    "bad-json": lambda path: (path / "manifest.json").write_text("{"),
    "missing-file": lambda path: (path / "new.pem").unlink(),
    "empty-file": lambda path: (path / "new.pem").write_text(""),
    "same-key-twice": lambda path: (path / "new.pem").write_bytes((path / "old.pem").read_bytes()),
    "no-signing-key": lambda path: (path / "manifest.json").write_text(
        '{"keys": [{"file": "refresh-1.key", "sign_from": null}]}'
    ),
    "no-refresh-key": lambda path: (path / "manifest.json").write_text(
        '{"keys": [{"file": "old.pem", "sign_from": null}]}'
    ),
    "spoilt-refresh-key": lambda path: (path / "refresh-2.key").write_text("short"),
    "manifest-gone": lambda path: (path / "manifest.json").unlink(),
    "directory-gone": lambda path: path.rename(path.with_name("gone")),
}


@pytest.mark.parametrize("spoil", SPOILERS.values(), ids=SPOILERS)
def test_any_fault_keeps_the_old_keys_raises_the_metric_and_is_logged_once(
    planned: Path, tmp_path: Path, kid_of: Callable[[str], str], clock: Any, spoil: Callable[[Path], object]
) -> None:
    old = kid_of("old")
    keys = KeyDirectory(planned, clock)
    before = keys.published_keys()
    copies = {path.name: path.read_bytes() for path in planned.iterdir()}
    spoil(planned)
    with capture_logs() as events:
        assert not keys.reload_if_changed()
        assert not keys.reload_if_changed()
    assert [event["event"] for event in events] == ["signing_keys_reload_failed"]
    assert has_failed() == 1
    assert keys.published_keys() == before
    assert keys.active_signing_key().kid == old
    assert keys.find_refresh_key(2)
    planned.mkdir(exist_ok=True)
    for name, content in copies.items():
        (planned / name).write_bytes(content)
    with capture_logs() as events:
        assert keys.reload_if_changed()
    assert [event["event"] for event in events] == ["signing_keys_reload_recovered"]
    assert has_failed() == 0


def test_a_second_signing_key_without_a_manifest_is_a_fault(directory: Path) -> None:
    keys = KeyDirectory(directory)
    (directory / "stray.pem").write_bytes(new_signing_key("ES256"))
    assert not keys.reload_if_changed()
    (directory / "stray.pem").unlink()
    assert keys.reload_if_changed()


def test_key_files_that_the_manifest_does_not_name_are_ignored(planned: Path, clock: Any) -> None:
    (planned / "stray.pem").write_text("no key at all")
    (planned / "refresh-9.key").write_text("neither")
    keys = KeyDirectory(planned, clock)
    assert len(keys.published_keys()) == 3
    assert keys.find_refresh_key(9) is None


def test_more_keys_than_verifiers_take_are_refused(tmp_path: Path, write_plan: WritePlan, clock: Any) -> None:
    plan: dict[str, str | None] = {f"{number}.pem": None for number in range(16)} | {"refresh-1.key": None}
    write_plan(tmp_path / "keys", plan)
    assert len(KeyDirectory(tmp_path / "keys", clock).published_keys()) == 16
    write_plan(tmp_path / "keys", plan | {"one-more.pem": None})
    with pytest.raises(KeyFileError, match="more than 16"):
        KeyDirectory(tmp_path / "keys", clock)


def test_a_directory_that_cannot_be_used_from_the_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="cannot be read"):
        KeyDirectory(tmp_path / "absent")
    with pytest.raises(KeyFileError, match=r"holds no \*\.pem file"):
        KeyDirectory(tmp_path)
    (tmp_path / "signing.pem").write_bytes(new_signing_key("ES256"))
    with pytest.raises(KeyFileError, match=r"holds no refresh-<version>\.key"):
        KeyDirectory(tmp_path)


def test_a_surprise_while_reading_keeps_the_keys(planned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = KeyDirectory(planned)
    (planned / "manifest.json").touch()
    with capture_logs() as events, monkeypatch.context() as broken:
        broken.setattr(directory_module, "read_key_set", lambda *_: 1 / 0)
        assert not keys.reload_if_changed()
    assert [event["event"] for event in events] == ["signing_keys_reload_crashed", "signing_keys_reload_failed"]
    assert keys.active_signing_key()
    assert keys.reload_if_changed()


class Mount:
    """A Secret's directory as the kubelet makes and changes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._version = 0
        path.mkdir()

    def update(self, files: dict[str, bytes], *, keep_old: bool = False) -> None:
        """Write a new version beside the old one, rename `..data` over, then take the old one away."""
        old = resolve(self.path)
        self._version += 1
        version = self.path / f"..2026_11_23_10_00_00.{self._version:09}"
        version.mkdir()
        for name, content in files.items():
            (version / name).write_bytes(content)
        (self.path / "..data_tmp").symlink_to(version.name)
        (self.path / "..data_tmp").rename(self.path / "..data")
        for name in files:
            if not (self.path / name).is_symlink():
                (self.path / name).symlink_to(f"..data/{name}")
        if old != self.path and not keep_old:
            self.remove(old)

    def remove(self, version: Path) -> None:
        for file in version.iterdir():
            file.unlink()
        version.rmdir()


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    return Mount(tmp_path / "mount")


def key_files() -> dict[str, bytes]:
    return {"signing.pem": new_signing_key("ES256"), "refresh-1.key": new_refresh_key()}


def test_a_mounted_secret_is_read_through_its_link(mount: Mount) -> None:
    files = key_files()
    mount.update(files)
    keys = KeyDirectory(mount.path)
    first = keys.active_signing_key()
    assert not keys.reload_if_changed()
    mount.update(files | {"signing.pem": new_signing_key("RS256")})
    assert keys.active_signing_key() == first
    assert keys.reload_if_changed()
    assert keys.active_signing_key().alg == "RS256"
    assert keys.get(first.kid) is None


@pytest.mark.parametrize("target", ["..data", "nowhere", "signing.pem"])
def test_a_link_that_leads_to_no_directory_is_a_fault_like_any_other(mount: Mount, target: str) -> None:
    mount.update(key_files(), keep_old=True)
    keys = KeyDirectory(mount.path)
    (mount.path / "..data").unlink()
    (mount.path / "..data").symlink_to(target)
    assert not keys.reload_if_changed()
    assert keys.active_signing_key()
    with pytest.raises(KeyFileError):
        KeyDirectory(mount.path)


def test_a_swap_in_the_middle_of_reading_never_mixes_two_versions(
    mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both versions have one file of each kind, so a mixture would load without a fault."""
    versions = [key_files(), key_files()]
    mount.update(versions[0])
    expected = [KeyDirectory(mount.path)]
    read_signing_key = directory_module.read_key_set.__globals__["read_signing_key"]

    def swap_after_the_first_file(path: Path) -> Any:
        key = read_signing_key(path)
        if len(expected) == 1:
            expected.append(expected[0])
            mount.update(versions[1], keep_old=True)
        return key

    with monkeypatch.context() as swapped:
        swapped.setitem(directory_module.read_key_set.__globals__, "read_signing_key", swap_after_the_first_file)
        keys = KeyDirectory(mount.path)
    fresh = KeyDirectory(mount.path)
    assert keys.active_signing_key() == fresh.active_signing_key()
    assert keys.refresh_key() == fresh.refresh_key()
    assert keys.active_signing_key() != expected[0].active_signing_key()


def test_a_version_that_is_taken_away_while_it_is_read_is_no_fault(
    mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount.update(key_files())
    keys = KeyDirectory(mount.path)
    mount.update(key_files())
    final = key_files()
    swaps = [final]
    read_manifest = directory_module.read_key_set.__globals__["read_manifest"]

    def swap_after_the_manifest(path: Path) -> Any:
        entries = read_manifest(path)
        if swaps:
            mount.update(swaps.pop())
        return entries

    with monkeypatch.context() as swapped, capture_logs() as events:
        swapped.setitem(directory_module.read_key_set.__globals__, "read_manifest", swap_after_the_manifest)
        assert keys.reload_if_changed()
    assert "signing_keys_reload_failed" not in [event["event"] for event in events]
    assert keys.active_signing_key() == KeyDirectory(mount.path).active_signing_key()


def test_a_directory_that_never_stands_still_is_a_fault_and_no_endless_loop(
    planned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = KeyDirectory(planned)
    (planned / "new.pem").unlink()
    looks = iter(range(100))
    monkeypatch.setattr(directory_module, "fingerprint", lambda _: (next(looks),))
    assert not keys.reload_if_changed()
    assert next(looks) < 10


def test_files_change_the_fingerprint_even_when_their_length_and_time_do_not(planned: Path) -> None:
    seen = [fingerprint(planned)]
    stat = (planned / "old.pem").stat()
    (planned / "old.pem").write_bytes(b"x" * stat.st_size)
    os.utime(planned / "old.pem", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    seen.append(fingerprint(planned))
    (planned / "old.pem").unlink()
    seen.append(fingerprint(planned))
    (planned / "old.pem").symlink_to("nowhere")
    seen.append(fingerprint(planned))
    planned.rename(planned.with_name("gone"))
    seen.append(fingerprint(planned))
    assert len(set(seen)) == 5


def test_the_thread_finds_changes_by_itself_until_it_is_stopped(planned: Path, kid_of: Callable[[str], str]) -> None:
    keys = KeyDirectory(planned, lambda: T0, poll_seconds=0.02)
    assert "key-directory" not in [thread.name for thread in threading.enumerate()]
    changed = threading.Event()
    keys.on_change(changed.set)
    keys.start()
    keys.start()
    try:
        assert [thread.name for thread in threading.enumerate()].count("key-directory") == 1
        changes.revoke(planned, T0, kid_of("reserve"))
        assert changed.wait(10)
    finally:
        keys.stop()
    assert "key-directory" not in [thread.name for thread in threading.enumerate()]
    keys.stop()
    assert keys.active_signing_key()


def test_a_started_thread_looks_at_once(planned: Path, kid_of: Callable[[str], str]) -> None:
    """A worker may be forked long after its master read the keys."""
    keys = KeyDirectory(planned, lambda: T0, poll_seconds=3600)
    changed = threading.Event()
    keys.on_change(changed.set)
    changes.revoke(planned, T0, kid_of("reserve"))
    keys.start()
    try:
        assert changed.wait(10)
    finally:
        begun = time.monotonic()
        keys.stop()
    assert time.monotonic() - begun < 4
