"""The manifest: what it says, what holds without one, and every fault that refuses it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from auth_service.keys import KeyFileError
from auth_service.keys.manifest import (
    SINCE_EVER,
    Entry,
    list_key_files,
    manifest_document,
    read_last_refresh_version,
    read_manifest,
)


def write(directory: Path, *entries: object) -> None:
    (directory / "manifest.json").write_text(json.dumps({"keys": list(entries)}))


def entry(file: object = "a.pem", sign_from: object = None) -> dict[str, object]:
    return {"file": file, "sign_from": sign_from}


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    entries = (
        Entry("a.pem", datetime(2026, 11, 23, 10, tzinfo=UTC)),
        Entry("refresh-1.key", SINCE_EVER),
        Entry("b.pem", None),
    )
    (tmp_path / "manifest.json").write_bytes(manifest_document(entries))
    assert read_manifest(tmp_path) == entries
    assert '"sign_from": "2026-11-23T10:00:00Z"' in (tmp_path / "manifest.json").read_text()


def test_the_last_version_is_noted_where_no_key_says_it(tmp_path: Path) -> None:
    assert read_last_refresh_version(tmp_path) == 0
    for entries, last in (((), 9999), ((Entry("refresh-2.key", None),), 3), ((Entry("refresh-3.key", None),), 3)):
        (tmp_path / "manifest.json").write_bytes(document := manifest_document(entries, last))
        assert (read_manifest(tmp_path), read_last_refresh_version(tmp_path)) == (entries, last)
    assert b"last_refresh_version" not in document


def test_a_time_of_another_zone_is_the_same_moment(tmp_path: Path) -> None:
    write(tmp_path, entry(sign_from="2026-11-23T11:30:00+01:30"))
    assert read_manifest(tmp_path) == (Entry("a.pem", datetime(2026, 11, 23, 10, tzinfo=UTC)),)


def test_without_a_manifest_every_key_is_used_since_ever_the_highest_version_last(tmp_path: Path) -> None:
    for name in ("mine.pem", "refresh-10.key", "refresh-9.key", "notes.txt", ".hidden.pem"):
        (tmp_path / name).touch()
    assert read_manifest(tmp_path) == tuple(
        Entry(name, SINCE_EVER) for name in ("mine.pem", "refresh-9.key", "refresh-10.key")
    )


def test_two_signing_keys_want_a_manifest(tmp_path: Path) -> None:
    for name in ("b.pem", "a.pem"):
        (tmp_path / name).touch()
    with pytest.raises(KeyFileError, match=r"a\.pem, b\.pem and no manifest\.json"):
        read_manifest(tmp_path)


def test_no_directory_and_an_unreadable_manifest_are_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="absent cannot be read"):
        read_manifest(tmp_path / "absent")
    with pytest.raises(KeyFileError, match="cannot be read"):
        list_key_files(tmp_path / "absent")
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(KeyFileError, match=r"manifest\.json cannot be read"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": [], "more": 1}',
        b'{"last_refresh_version": 1}',
        b'{"keys": [], "last_refresh_version": -1}',
        b'{"keys": [], "last_refresh_version": 10000}',
        b'{"keys": [], "last_refresh_version": true}',
        b'{"keys": [], "last_refresh_version": "1"}',
        b'{"keys": [], "keys": []}',
        b'{"keys": [' + b"[" * 9000,
        b"\xff\xfe{}",
        b'{"keys": ["a.pem"]}',
        b'{"keys": [{"file": "a.pem"}]}',
        b'{"keys": [{"file": "a.pem", "sign_from": null, "note": ""}]}',
    ],
    ids=lambda document: repr(document[:40]),
)
def test_a_document_that_is_no_manifest_is_refused(tmp_path: Path, document: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(document)
    with pytest.raises(KeyFileError, match=r"manifest\.json is not a manifest of keys"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "file",
    [1, None, "", ".pem", "..", "../a.pem", "/etc/a.pem", "x/a.pem", "a.key", "refresh-0.key", "a.pem\0", "A.PEM"],
)
def test_only_plain_names_of_keys_are_read(tmp_path: Path, file: object) -> None:
    write(tmp_path, entry(file))
    with pytest.raises(KeyFileError, match="not a manifest"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "sign_from",
    [
        1,
        True,
        "",
        "soon",
        "2026-11-23",
        "2026-11-23T10:00:00",
        "2026-13-23T10:00:00Z",
        "0001-01-01T00:00:00+23:00",
        "9999-12-31T23:59:59Z",
    ],
)
def test_a_date_has_a_zone_and_lies_within_reason(tmp_path: Path, sign_from: object) -> None:
    write(tmp_path, entry(sign_from=sign_from))
    with pytest.raises(KeyFileError, match="is not a manifest"):
        read_manifest(tmp_path)


def test_a_file_named_twice_is_refused(tmp_path: Path) -> None:
    write(tmp_path, entry(), entry(sign_from="2026-11-23T10:00:00Z"))
    with pytest.raises(KeyFileError, match="named twice"):
        read_manifest(tmp_path)
