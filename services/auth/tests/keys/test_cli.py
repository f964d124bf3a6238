"""`flask keys` as people call it: options, output, exit status."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from auth_service.keys import KeyDirectory
from auth_service.keys.cli import keys
from auth_service.keys.pem import new_signing_key, read_signing_key
from click.testing import CliRunner, Result


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("AUTH_KEYS_DIR", raising=False)
    monkeypatch.delenv("REFRESH_ABSOLUTE_TTL_SECONDS", raising=False)
    return


def run(directory: Path, *arguments: str, status: int = 0, answer: str = "") -> Result:
    command, *rest = arguments
    result = CliRunner().invoke(keys, [command, "--dir", str(directory), *rest], input=answer)
    assert result.exit_code == status, result.output
    return result


def states(directory: Path) -> dict[str, str]:
    return {key["file"]: key["state"] for key in json.loads(run(directory, "list", "--json").stdout)["keys"]}


def test_init_says_what_it_made_and_what_it_kept(tmp_path: Path) -> None:
    (tmp_path / "mine.pem").write_bytes(new_signing_key("ES256"))
    kid = re.escape(run(tmp_path, "init").stdout.split()[3])
    lines = run(tmp_path, "init").stdout.splitlines()
    assert re.fullmatch(rf"kept ES256 key {kid} in \S+/mine\.pem", lines[0])
    assert re.fullmatch(r"kept HMAC key refresh:1 in \S+/refresh-1\.key", lines[1])


def test_init_takes_the_algorithm_and_makes_the_directory(tmp_path: Path) -> None:
    assert "made RS256 key" in run(tmp_path / "a" / "b", "init", "--alg", "RS256").stdout
    assert KeyDirectory(tmp_path / "a" / "b").active_signing_key().alg == "RS256"


def test_the_directory_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CliRunner().invoke(keys, ["list"]).exit_code == 2
    monkeypatch.setenv("AUTH_KEYS_DIR", str(tmp_path))
    assert CliRunner().invoke(keys, ["init"]).exit_code == 0
    assert (tmp_path / "signing.pem").exists()


def test_the_list_is_a_table_of_all_keys_and_names_strays(directory: Path) -> None:
    run(directory, "rotate")
    (directory / "stray.pem").write_text("whatever")
    result = run(directory, "list")
    head, *rows = result.stdout.splitlines()
    assert head.split() == ["KID", "FILE", "ALG", "STATE", "SIGNS", "FROM", "RETIRES"]
    assert [re.split(r"  +", row)[3:5] for row in rows[::2]] == [["active", "ever"], ["pending", "reserve"]]
    assert rows[1].split()[3] == "pending"
    assert rows[3].split() == ["refresh:1", "refresh-1.key", "HMAC", "active", "ever", "-"]
    assert len({row.index("ES256") for row in rows[:3]}) == 1
    assert "stray.pem" in result.stderr
    assert "PRIVATE" not in result.output


def test_the_list_for_programs_has_every_moment(directory: Path) -> None:
    run(directory, "rotate")
    shown = json.loads(run(directory, "list", "--json").stdout)
    assert [key["state"] for key in shown["keys"]] == ["active", "pending", "pending", "active"]
    assert shown["keys"][0]["sign_from"] == "1970-01-01T00:00:00Z"
    assert shown["keys"][0]["retires_at"].endswith("Z")
    assert shown["keys"][2]["sign_from"] is None
    assert shown["ignored"] == []


def test_a_rotation_says_what_it_made_and_when_it_signs(directory: Path) -> None:
    lines = run(directory, "rotate", "--lead", "2h").stdout.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["made", "made"]
    assert re.fullmatch(r"signing-\d{8}-[\w-]{8}\.pem signs from \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", lines[2])
    assert "--force" in run(directory, "rotate", status=1).output
    assert "below 5 minutes" in run(directory, "rotate", "--lead", "30s", status=1).output
    run(directory, "rotate", "--lead", "0s", "--force")
    assert list(states(directory).values()) == ["retiring", "active", "pending", "pending", "active"]


def test_refresh_keys_rotate_apart(directory: Path) -> None:
    assert "refresh-2.key is used from" in run(directory, "rotate", "--refresh").stdout
    assert states(directory) == {"signing.pem": "active", "refresh-1.key": "active", "refresh-2.key": "pending"}
    run(directory, "rotate", "--refresh", "--lead", "0s", "--force")
    assert states(directory)["refresh-1.key"] == "accepted"
    run(directory, "rotate", "--refresh", "--alg", "ES256", status=2)


@pytest.mark.parametrize("lead", ["", "1", "h", "-1h", "1.5h", "1 h", "1w", "9999999d"])
def test_a_lead_is_a_number_and_a_unit(directory: Path, lead: str) -> None:
    assert "24h" in run(directory, "rotate", "--lead", lead, status=2).output


def test_pruning_names_what_it_deleted(directory: Path) -> None:
    assert run(directory, "prune").stdout == "nothing to delete\n"
    run(directory, "rotate", "--refresh", "--lead", "0s", "--force")
    assert run(directory, "prune").stdout == "nothing to delete\n"
    run(directory, "prune", "--refresh-ttl-seconds", "59", status=2)


def test_revoking_a_kid_that_begins_with_a_dash_is_possible(directory: Path) -> None:
    for kid in ("-abc", "--abc"):
        assert f"no signing key {kid}" in run(directory, "revoke", kid, status=1).output


def test_revoking_the_last_signing_key_warns_that_nobody_knows_the_next(directory: Path) -> None:
    kid = KeyDirectory(directory).active_signing_key().kid
    result = run(directory, "revoke", kid)
    assert "deleted signing.pem" in result.stdout
    assert "No verifier knows it yet" in result.stderr
    again = run(directory, "revoke", KeyDirectory(directory).active_signing_key().kid)
    assert again.stderr == ""


def test_revoking_a_retired_key_says_that_nobody_took_it_any_more(
    directory: Path, write_plan: Callable[[Path, dict[str, str | None]], None]
) -> None:
    plan = {"signing.pem": "2026-01-01T00:00:00Z", "next.pem": "2026-01-02T00:00:00Z", "refresh-1.key": None}
    write_plan(directory, dict(plan))
    kid = read_signing_key(directory / "signing.pem").kid
    lines = run(directory, "revoke", kid).stdout.splitlines()
    assert lines == [
        "deleted signing.pem",
        f"{kid} was retired already: it was neither published nor accepted any more",
        "next.pem is in use",
    ]


def test_revoking_a_refresh_key_asks_first(directory: Path) -> None:
    run(directory, "revoke", "refresh:1", status=1, answer="n\n")
    assert states(directory)["refresh-1.key"] == "active"
    assert "session" in run(directory, "revoke", "refresh:1", answer="y\n").output
    run(directory, "revoke", "refresh:2", "--yes")
    assert list(states(directory)) == ["signing.pem", "refresh-3.key"]
    for name in ("refresh:", "refresh:x", "refresh:-1", "refresh:\u0663"):
        run(directory, "revoke", name, "--yes", status=2)


def test_where_the_package_is_not_installed_the_module_does_the_same(directory: Path) -> None:
    command = [sys.executable, "-m", "auth_service.keys", "list", "--dir", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == run(directory, "list").stdout


def test_what_cannot_be_used_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "signing.pem").write_text("not a key")
    for command in ("init", "list", "rotate", "prune"):
        result = run(tmp_path, command, status=1)
        assert result.output.startswith("Error: ")
        assert result.output.count("\n") == 1
    assert (tmp_path / "signing.pem").read_text() == "not a key"


def test_flask_offers_it_without_an_application_or_settings(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flask", "keys", "init", "--dir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=tmp_path,
        env={},
    )
    assert done.stdout.startswith("made ES256 key ")
    assert "PRIVATE" not in done.stdout
    assert done.stderr == ""
