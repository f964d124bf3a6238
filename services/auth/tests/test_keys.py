"""The command that makes an installation's signing key."""

import subprocess
import sys
from pathlib import Path

import pytest
from auth_service.keys import main
from common.jwt import load_signing_key


def test_the_first_run_makes_a_key_and_the_second_keeps_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "new" / "keys"
    assert main([str(directory)]) == 0
    key = load_signing_key(directory)
    assert main([str(directory)]) == 0
    assert load_signing_key(directory) == key
    assert capsys.readouterr().out.splitlines() == [
        f"made ES256 key {key.kid} in {directory}",
        f"kept ES256 key {key.kid} in {directory}",
    ]
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / "signing.pem").stat().st_mode & 0o777 == 0o600


def test_rs256_is_made_when_asked_for(tmp_path: Path) -> None:
    assert main([str(tmp_path), "--alg", "RS256"]) == 0
    assert load_signing_key(tmp_path).alg == "RS256"


def test_a_key_under_another_name_is_kept(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 0
    (tmp_path / "signing.pem").rename(tmp_path / "mine.pem")
    assert main([str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mine.pem"]


def test_what_cannot_be_used_says_so_without_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "signing.pem").write_text("not a key")
    assert main([str(tmp_path)]) == 1
    assert "is not an unencrypted private key in PEM" in capsys.readouterr().err
    assert main([str(tmp_path / "signing.pem")]) == 1
    assert (tmp_path / "signing.pem").read_text() == "not a key"


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "auth_service.keys", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.startswith("made ES256 key ")
    assert "PRIVATE" not in done.stdout
