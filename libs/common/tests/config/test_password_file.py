"""A URL that names the file of its password becomes the URL with that password, or says why it cannot."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from common.config import ConfigError, DatabaseSettings, PasswordFileError, insert_password, load_settings
from common.redaction import redact
from sqlalchemy import make_url

PASSWORDS = ["plain", "p@ss:w/rd?a=b&c#d%41", "comma,comma=", " space ", "ünïcode", "two\nlines"]


@pytest.fixture
def secret(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        file = tmp_path / "password"
        file.write_bytes(text.encode())
        return file

    return write


@pytest.mark.parametrize("password", PASSWORDS)
def test_the_drivers_see_the_very_password_of_the_file(password: str, secret: Callable[[str], Path]) -> None:
    url = insert_password(f"mysql+pymysql://app@db:3307/shop?charset=utf8mb4&password_file={secret(password)}")
    parsed = make_url(url)
    assert (parsed.username, parsed.password) == ("app", password)
    assert (parsed.host, parsed.port, parsed.database) == ("db", 3307, "shop")
    assert parsed.query == {"charset": "utf8mb4"}
    assert "," not in url


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_one_newline_at_the_end_is_not_part_of_the_password(end: str, secret: Callable[[str], Path]) -> None:
    assert insert_password(f"redis://u@h/0?password_file={secret('pw' + end)}") == "redis://u:pw@h/0"
    assert insert_password(f"redis://u@h/0?password_file={secret('pw' + end + end)}").startswith("redis://u:pw%")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///folder/file.db",
        "sqlite:////folder/file.db?timeout=3",
        "mysql+pymysql://user:p?a&b@db/name?charset=utf8mb4",
        "redis://:secret@127.0.0.1:6379/0",
        "mysql+pymysql://app@db/name?not_password_file=/x",
        "",
    ],
)
def test_a_url_without_the_parameter_stays_as_it_is(url: str) -> None:
    assert insert_password(url) == url


def test_the_other_parameters_keep_their_order_and_the_path_may_be_encoded(tmp_path: Path) -> None:
    file = tmp_path / "a,b&c d+e"
    file.write_text("pw")
    encoded = str(file).replace(",", "%2C").replace("&", "%26").replace(" ", "%20")
    assert insert_password(f"mysql://u@[::1]:1/n?a=1&password_file={encoded}&b=2") == "mysql://u:pw@[::1]:1/n?a=1&b=2"


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("mysql://u:known@h/n?password_file={file}", "both a password and a password_file"),
        ("mysql://u:@h/n?password_file={file}", "both a password and a password_file"),
        ("mysql://h/n?password_file={file}", "no user"),
        ("mysql://@h/n?password_file={file}", "no user"),
        ("sqlite:////n.db?password_file={file}", "no user"),
        ("mysql://u@h/n?password_file={file}&password_file={file}", "more than one"),
        ("mysql://u@h/n?password_file={file}.not", r"password\.not cannot be read: FileNotFoundError"),
        ("mysql://u@h/n?password_file=/", "cannot be read: IsADirectoryError"),
        ("mysql://u@h/n?password_file={file}%00", "cannot be read: ValueError"),
        ("mysql://u@h/n?password_file=", "absolute path"),
        ("mysql://u@h/n?password_file=known", "absolute path"),
    ],
)
def test_what_cannot_be_a_password_is_refused_without_showing_one(
    url: str, fault: str, secret: Callable[[str], Path]
) -> None:
    with pytest.raises(PasswordFileError, match=fault) as refusal:
        insert_password(url.format(file=secret("known")))
    assert "known" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_an_empty_file_is_no_password(content: bytes, secret: Callable[[str], Path]) -> None:
    with pytest.raises(PasswordFileError, match="password is empty"):
        insert_password(f"mysql://u@h/n?password_file={secret(content.decode())}")


def test_a_file_that_is_no_text_is_no_password(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b"\xff\xfe")
    with pytest.raises(PasswordFileError, match="UnicodeDecodeError"):
        insert_password(f"mysql://u@h/n?password_file={tmp_path}/password")


def test_settings_hold_the_finished_url_and_never_show_it(secret: Callable[[str], Path]) -> None:
    url = f"mysql+pymysql://app@db/shop?password_file={secret('hunter2')}"
    settings = load_settings(DatabaseSettings, {"APP_ENV": "production", "DATABASE_URL": url})
    finished = settings.database_url.get_secret_value()
    assert finished == "mysql+pymysql://app:hunter2@db/shop"
    assert "hunter2" not in repr(settings) + settings.model_dump_json()
    event = redact(logging.getLogger(), "error", {"event": f"cannot reach {finished}", "database_url": finished})
    assert "hunter2" not in str(event)


def test_a_fault_stands_in_the_one_list_by_the_name_of_its_variable() -> None:
    with pytest.raises(ConfigError) as refusal:
        load_settings(
            DatabaseSettings,
            {"APP_ENV": "production", "DATABASE_URL": "mysql://u@h/n?password_file=/not/there", "DB_POOL_SIZE": "0"},
        )
    assert [problem.variable for problem in refusal.value.problems] == ["DATABASE_URL", "DB_POOL_SIZE"]
    assert "password_file /not/there cannot be read: FileNotFoundError" in str(refusal.value)
