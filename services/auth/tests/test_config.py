"""The settings: defaults of each environment, and everything wrong named at once."""

import re
from pathlib import Path

import pytest
from auth_service.config import AuthSettings
from common.config import ConfigError, load_settings

README = Path(__file__).parent.parent / "README.md"


@pytest.fixture
def deployed(keys_dir: Path) -> dict[str, str]:
    return {
        "APP_ENV": "production",
        "DATABASE_URL": "mysql+pymysql://auth:secret@db/auth",
        "AUTH_ISSUER": "https://auth.example",
        "AUTH_KEYS_DIR": str(keys_dir),
        "STATE_URL": "redis://state:secret@valkey:6379/0",
    }


def faults(env: dict[str, str]) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        load_settings(AuthSettings, env)
    return {problem.variable: problem.message for problem in caught.value.problems}


def test_production_starts_with_what_it_must_be_told(deployed: dict[str, str]) -> None:
    settings = load_settings(AuthSettings, deployed)
    assert (settings.port, settings.metrics_port, settings.service_name) == (8080, 9090, "auth")
    assert settings.email_verification_required
    assert (settings.access_token_ttl_seconds, settings.refresh_idle_ttl_seconds) == (600, 604800)
    assert settings.refresh_absolute_ttl_seconds == 2592000
    assert (settings.password_hash_memory_kib, settings.password_hash_iterations) == (19456, 2)
    assert settings.password_hash_slots >= 1


def test_development_starts_with_a_key_alone(keys_dir: Path) -> None:
    settings = load_settings(AuthSettings, {"APP_ENV": "development", "AUTH_KEYS_DIR": str(keys_dir)})
    assert (settings.port, settings.metrics_port, settings.host) == (8001, 9101, "127.0.0.1")
    assert settings.database_url.get_secret_value() == "sqlite:///.local/data/auth.db"
    assert not settings.email_verification_required


def test_everything_missing_is_named_at_once() -> None:
    assert faults({"APP_ENV": "production"}).keys() == {
        "DATABASE_URL",
        "AUTH_ISSUER",
        "AUTH_KEYS_DIR",
        "STATE_URL",
    }


def test_defaults_of_development_are_refused_in_production(deployed: dict[str, str]) -> None:
    known = {
        "DATABASE_URL": "sqlite:///.local/data/auth.db",
        "AUTH_ISSUER": "http://127.0.0.1:8001",
        "AUTH_KEYS_DIR": ".local/keys",
        "STATE_URL": "redis://127.0.0.1:6379/0",
    }
    assert faults(deployed | known).keys() == known.keys()


def test_a_directory_without_a_usable_key_is_named(deployed: dict[str, str], tmp_path: Path) -> None:
    assert "holds no *.pem file" in faults(deployed | {"AUTH_KEYS_DIR": str(tmp_path)})["AUTH_KEYS_DIR"]
    assert "cannot be read" in faults(deployed | {"AUTH_KEYS_DIR": str(tmp_path / "x")})["AUTH_KEYS_DIR"]


def test_a_directory_without_a_refresh_key_is_named_beside_everything_else(
    deployed: dict[str, str], keys_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "signing.pem").write_bytes((keys_dir / "signing.pem").read_bytes())
    found = faults(deployed | {"AUTH_KEYS_DIR": str(tmp_path), "PORT": "0"})
    assert found.keys() == {"AUTH_KEYS_DIR", "PORT"}
    assert "flask keys init makes one" in found["AUTH_KEYS_DIR"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ACCESS_TOKEN_TTL_SECONDS", "59"),
        ("ACCESS_TOKEN_TTL_SECONDS", "3601"),
        ("REFRESH_IDLE_TTL_SECONDS", "0"),
        ("PASSWORD_HASH_MEMORY_KIB", "19455"),
        ("PASSWORD_HASH_ITERATIONS", "1"),
        ("PASSWORD_HASH_SLOTS", "0"),
        ("AUTH_ISSUER", "http://auth.example"),
        ("EMAIL_VERIFICATION_REQUIRED", "maybe"),
        ("REFRESH_IDLE_TTL_SECONDS", "1000000000000"),
        ("REFRESH_ABSOLUTE_TTL_SECONDS", "1000000000000"),
        ("PASSWORD_HASH_MEMORY_KIB", "1000000000"),
        ("PASSWORD_HASH_ITERATIONS", "1000000"),
        ("PASSWORD_HASH_SLOTS", "1000000"),
    ],
)
def test_a_value_out_of_range_is_named(deployed: dict[str, str], variable: str, value: str) -> None:
    assert variable in faults(deployed | {variable: value})


@pytest.mark.parametrize(
    "limits",
    [
        {"REFRESH_ABSOLUTE_TTL_SECONDS": "3600"},
        {"REFRESH_IDLE_TTL_SECONDS": "2592001"},
        {"REFRESH_IDLE_TTL_SECONDS": "600", "REFRESH_ABSOLUTE_TTL_SECONDS": "599"},
    ],
)
def test_an_absolute_limit_below_the_idle_one_is_named_beside_everything_else(
    deployed: dict[str, str], limits: dict[str, str]
) -> None:
    found = faults(deployed | limits | {"PORT": "0"})
    assert found.keys() == {"REFRESH_ABSOLUTE_TTL_SECONDS", "PORT"}
    assert "at least REFRESH_IDLE_TTL_SECONDS" in found["REFRESH_ABSOLUTE_TTL_SECONDS"]


def test_the_readmes_table_names_every_variable_of_this_service() -> None:
    named = set(re.findall(r"^\| `([A-Z_]+)`", README.read_text(encoding="utf-8"), re.MULTILINE))
    own = set(AuthSettings.model_fields)
    assert named == {name.upper() for name in own}
