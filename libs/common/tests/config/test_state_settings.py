"""STATE_URL: where it may be missing, and what it may be."""

from pathlib import Path

import pytest
from common.config import ConfigError, StateSettings, load_settings


def load(app_env: str, **variables: str) -> StateSettings:
    return load_settings(StateSettings, {"APP_ENV": app_env, **variables})


def test_only_tests_do_without_it() -> None:
    assert load("testing").state_address is None
    assert load("testing", STATE_URL="").state_address is None
    assert load("development").state_address == "redis://127.0.0.1:6379/0"
    for app_env in ("staging", "production"):
        with pytest.raises(ConfigError, match="STATE_URL: is not set"):
            load(app_env)


@pytest.mark.parametrize(
    "url", ["redis://state@valkey/0", "rediss://state:pw@valkey:6380/0", "unix:///run/valkey.sock"]
)
def test_a_server_is_named_by_its_url(url: str) -> None:
    assert load("production", STATE_URL=url).state_address == url


@pytest.mark.parametrize("url", ["valkey:6379", "amqp://valkey", "http://valkey"])
def test_another_scheme_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="STATE_URL: has to be a redis://"):
        load("production", STATE_URL=url)


def test_the_address_of_development_is_refused_where_it_counts() -> None:
    with pytest.raises(ConfigError, match="STATE_URL: has its development default"):
        load("production", STATE_URL="redis://127.0.0.1:6379/0")


def test_its_password_may_be_in_a_file_and_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret/\n")
    settings = load("production", STATE_URL=f"redis://state@valkey:6379/0?password_file={tmp_path}/password")
    assert settings.state_address == "redis://state:s3cret%2F@valkey:6379/0"
    assert "s3cret" not in repr(settings)
    with pytest.raises(ConfigError, match="no user"):
        load("production", STATE_URL=f"redis://valkey:6379/0?password_file={tmp_path}/password")
