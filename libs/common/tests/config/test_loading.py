import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest
from common.config import (
    ConfigError,
    DatabaseSettings,
    Problem,
    Settings,
    WebSettings,
    load_settings,
    load_settings_or_exit,
)
from pydantic import Field, SecretStr, ValidationError, model_validator

PRODUCTION = {"APP_ENV": "production", "AUTH_ISSUER": "https://auth.example.org"}


class ShopSettings(WebSettings, DatabaseSettings):
    api_key: SecretStr
    currencies: tuple[str, ...] = ("EUR",)
    note: str = ""


def problems_of(cls: type[Settings], env: dict[str, str]) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        load_settings(cls, env)
    return caught.value.problems


def variables_of(cls: type[Settings], env: dict[str, str]) -> set[str]:
    return {problem.variable for problem in problems_of(cls, env)}


@pytest.mark.parametrize("app_env", ["development", "testing"])
def test_a_laptop_needs_app_env_alone(app_env: str) -> None:
    settings = load_settings(WebSettings, {"APP_ENV": app_env})
    assert settings.app_env == app_env
    assert settings.host == "127.0.0.1"
    assert not settings.is_deployed


@pytest.mark.parametrize("app_env", ["staging", "production"])
def test_a_deployed_service_listens_on_all_its_interfaces_and_logs_json(app_env: str) -> None:
    settings = load_settings(WebSettings, {**PRODUCTION, "APP_ENV": app_env})
    assert (settings.host, settings.log_format) == ("0.0.0.0", "json")
    assert settings.is_deployed


def test_settings_are_read_from_the_process_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "testing")
    monkeypatch.setenv("PORT", "4711")
    assert load_settings(WebSettings).port == 4711


def test_settings_cannot_be_changed() -> None:
    settings = load_settings(WebSettings, {"APP_ENV": "testing"})
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]


def test_the_environments_module_wins_over_the_base_and_loses_to_the_environment() -> None:
    assert load_settings(WebSettings, PRODUCTION).graceful_timeout_seconds == 25
    assert load_settings(WebSettings, {"APP_ENV": "development"}).graceful_timeout_seconds == 3
    env = {"APP_ENV": "development", "GRACEFUL_TIMEOUT_SECONDS": "7"}
    assert load_settings(WebSettings, env).graceful_timeout_seconds == 7


def test_a_secret_file_wins_over_the_environments_module(tmp_path: Path) -> None:
    (tmp_path / "AUTH_ISSUER").write_text("https://from.file\n")
    settings = load_settings(WebSettings, {"APP_ENV": "development", "SECRETS_DIR": str(tmp_path)})
    assert settings.auth_issuer == "https://from.file"


def test_one_newline_at_the_end_of_a_secret_file_is_not_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "API_KEY").write_bytes(b" s3cret \n\r\n")
    (tmp_path / "DATABASE_URL").write_text("sqlite:///shop.db")
    settings = load_settings(ShopSettings, {"APP_ENV": "testing", "SECRETS_DIR": str(tmp_path)})
    assert settings.api_key.get_secret_value() == " s3cret \n"


def test_the_same_value_in_the_environment_and_a_file_is_no_conflict(tmp_path: Path) -> None:
    (tmp_path / "PORT").write_text("4711")
    env = {"APP_ENV": "testing", "SECRETS_DIR": str(tmp_path), "PORT": "4711"}
    assert load_settings(WebSettings, env).port == 4711


def test_different_values_in_the_environment_and_a_file_are_refused_without_showing_them(tmp_path: Path) -> None:
    (tmp_path / "API_KEY").write_text("one-secret")
    env = {
        "APP_ENV": "testing",
        "SECRETS_DIR": str(tmp_path),
        "API_KEY": "another-secret",
        "DATABASE_URL": "sqlite:///shop.db",
    }
    (problem,) = problems_of(ShopSettings, env)
    assert problem.variable == "API_KEY"
    assert "-secret" not in problem.message


def test_a_secrets_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    env = {"APP_ENV": "testing", "SECRETS_DIR": str(tmp_path / "missing")}
    assert variables_of(WebSettings, env) == {"SECRETS_DIR"}


def test_a_secrets_directory_nobody_can_look_at_is_named() -> None:
    assert variables_of(WebSettings, {"APP_ENV": "testing", "SECRETS_DIR": "x" * 5000}) == {"SECRETS_DIR"}


def test_a_secret_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "PORT").write_bytes(b"\xff\xfe")
    (tmp_path / "HOST").mkdir()
    env = {"APP_ENV": "testing", "SECRETS_DIR": str(tmp_path)}
    assert variables_of(WebSettings, env) == {"PORT", "HOST"}


@pytest.mark.parametrize("env", [{}, {"APP_ENV": ""}, {"APP_ENV": "prod"}, {"APP_ENV": "Production"}])
def test_an_unset_or_unknown_app_env_is_refused_with_the_choices(env: dict[str, str]) -> None:
    problem = next(problem for problem in problems_of(Settings, env) if problem.variable == "APP_ENV")
    assert "development, testing, staging, production" in problem.message


def test_all_problems_come_in_one_error(tmp_path: Path) -> None:
    (tmp_path / "HOST").write_text("a")
    env = {
        "PORT": "eighty",
        "WEB_THREADS": "0",
        "LOG_LEVEL": "loud",
        "HOST": "b",
        "SECRETS_DIR": str(tmp_path),
    }
    expected = {"APP_ENV", "PORT", "WEB_THREADS", "LOG_LEVEL", "HOST", "AUTH_ISSUER", "DATABASE_URL", "API_KEY"}
    assert variables_of(ShopSettings, env) == expected


def test_the_error_lists_every_variable_on_a_line_of_its_own() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(ShopSettings, {"APP_ENV": "production"})
    lines = str(caught.value).splitlines()
    assert sorted(lines[1:]) == [f"  - {name}: is not set" for name in ("API_KEY", "AUTH_ISSUER", "DATABASE_URL")]


def test_a_value_is_never_in_the_error() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(WebSettings, {"APP_ENV": "testing", "PORT": "hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["API_KEY", "DATABASE_URL"])
def test_an_empty_secret_is_a_missing_one(name: str) -> None:
    env = {"APP_ENV": "testing", "API_KEY": "k", "DATABASE_URL": "sqlite:///shop.db", name: ""}
    assert problems_of(ShopSettings, env) == [Problem(name, "is not set")]


def test_an_empty_text_is_a_value_where_none_is_required() -> None:
    env = {"APP_ENV": "testing", "API_KEY": "k", "DATABASE_URL": "sqlite:///shop.db", "NOTE": ""}
    assert load_settings(ShopSettings, env).note == ""


def test_an_empty_text_is_none_where_none_is_the_default_and_no_number() -> None:
    env = {"APP_ENV": "testing", "API_KEY": "k", "DATABASE_URL": "mysql://u@h/d", "DB_TLS_CA": ""}
    assert load_settings(ShopSettings, env).db_tls_ca is None
    assert variables_of(ShopSettings, env | {"PORT": ""}) == {"PORT"}


@pytest.mark.parametrize(
    ("env", "variable", "fault"),
    [
        ({"PORT": "4711", "METRICS_PORT": "4711"}, "METRICS_PORT", "another port than PORT"),
        ({"HTTP_PARSER": "fast"}, "HTTP_PARSER", "gunicorn[fast], which is not installed"),
        ({"CLIENT_TIMEOUT_SECONDS": "99999999999999999999"}, "CLIENT_TIMEOUT_SECONDS", "3600"),
    ],
)
def test_what_the_server_could_not_run_with_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], variable: str, fault: str
) -> None:
    monkeypatch.setattr("common.config.base.find_spec", lambda _name: None)
    (problem,) = problems_of(WebSettings, {"APP_ENV": "testing", **env})
    assert problem.variable == variable
    assert fault in problem.message


def test_a_tuple_is_written_with_commas() -> None:
    env = {"APP_ENV": "testing", "API_KEY": "k", "DATABASE_URL": "sqlite:///shop.db", "CURRENCIES": "EUR, SEK,,"}
    assert load_settings(ShopSettings, env).currencies == ("EUR", "SEK")


def test_secrets_do_not_show_when_settings_are_printed() -> None:
    env = {"APP_ENV": "testing", "API_KEY": "hunter2", "DATABASE_URL": "mysql://u:hunter2@h/d"}
    assert "hunter2" not in repr(load_settings(ShopSettings, env))


@pytest.mark.parametrize("app_env", ["staging", "production"])
def test_a_development_default_outside_development_is_refused(app_env: str) -> None:
    env = {"APP_ENV": app_env, "AUTH_ISSUER": "http://127.0.0.1:8001"}
    (problem,) = problems_of(WebSettings, env)
    assert problem.variable == "AUTH_ISSUER"
    assert "development default" in problem.message


def test_a_development_default_may_be_set_in_testing() -> None:
    env = {"APP_ENV": "testing", "AUTH_ISSUER": "http://127.0.0.1:8001"}
    assert load_settings(WebSettings, env).auth_issuer == "http://127.0.0.1:8001"


def test_the_issuer_is_an_https_url_once_deployed() -> None:
    (problem,) = problems_of(WebSettings, {"APP_ENV": "production", "AUTH_ISSUER": "http://auth.example.org"})
    assert problem.variable == "AUTH_ISSUER"
    assert "https" in problem.message


def test_a_rule_over_several_settings_is_reported_without_a_variable() -> None:
    class Window(Settings):
        first: int = Field(default=1)
        last: int = Field(default=2)

        @model_validator(mode="after")
        def check_order(self) -> "Window":
            if self.first > self.last:
                raise ValueError("FIRST is after LAST")
            return self

    (problem,) = problems_of(Window, {"APP_ENV": "testing", "FIRST": "3"})
    assert problem == Problem("", "FIRST is after LAST")
    assert str(problem) == "FIRST is after LAST"


def write_service(folder: Path, name: str, **defaults: str) -> None:
    """A package like a service's: `config/base.py` and the module of each environment."""
    package = folder / name / "config"
    package.mkdir(parents=True)
    (package / "base.py").write_text(
        "from typing import ClassVar\n"
        "from pydantic import SecretStr\n"
        "from common.config import DatabaseSettings, WebSettings\n"
        "class OwnSettings(WebSettings, DatabaseSettings):\n"
        "    development_only: ClassVar[frozenset[str]] = frozenset({'pepper'})\n"
        "    service_name: str = 'shop'\n"
        "    pepper: SecretStr\n"
        "    colour: str = 'red'\n"
    )
    for app_env in ("development", "testing", "staging", "production"):
        (package / f"{app_env}.py").write_text(f"DEFAULTS = {defaults.get(app_env, '{}')}\n")


def import_settings(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> type[Settings]:
    monkeypatch.syspath_prepend(str(folder))
    module = __import__(f"{name}.config.base", fromlist=["OwnSettings"])
    settings: type[Settings] = module.OwnSettings
    return settings


DEVELOPMENT = "{'pepper': 'salt', 'database_url': 'sqlite:///shop.db', 'log_level': 'debug', 'log_format': 'json'}"


def test_a_services_module_adds_to_and_wins_over_the_common_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_service(tmp_path, "shop_one", development=DEVELOPMENT)
    settings = load_settings(import_settings(tmp_path, "shop_one", monkeypatch), {"APP_ENV": "development"})
    values = settings.model_dump()
    assert values["pepper"].get_secret_value() == "salt"
    assert (values["colour"], values["log_level"], values["log_format"]) == ("red", "debug", "json")
    assert values["auth_issuer"] == "http://127.0.0.1:8001"


def test_a_services_own_development_secret_is_refused_in_production(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_service(tmp_path, "shop_two", development=DEVELOPMENT)
    cls = import_settings(tmp_path, "shop_two", monkeypatch)
    env = {**PRODUCTION, "PEPPER": "salt", "DATABASE_URL": "sqlite:///shop.db"}
    assert variables_of(cls, env) == {"PEPPER", "DATABASE_URL"}


def test_a_production_module_cannot_smuggle_a_development_secret_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_service(tmp_path, "shop_three", development=DEVELOPMENT, production="{'pepper': 'salt'}")
    cls = import_settings(tmp_path, "shop_three", monkeypatch)
    assert variables_of(cls, {**PRODUCTION, "DATABASE_URL": "sqlite:///own.db"}) == {"PEPPER"}


def test_a_default_nobody_has_a_field_for_is_a_fault_of_the_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_service(tmp_path, "shop_four", testing="{'color': 'blue'}")
    cls = import_settings(tmp_path, "shop_four", monkeypatch)
    with pytest.raises(TypeError, match=r"shop_four\.config\.testing sets color"):
        load_settings(cls, {"APP_ENV": "testing"})


def test_a_process_with_bad_settings_exits_with_78_and_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load_settings_or_exit(WebSettings, {"APP_ENV": "production"})
    assert caught.value.code == 78
    assert "AUTH_ISSUER: is not set" in capsys.readouterr().err


def test_a_process_with_good_settings_gets_them() -> None:
    assert load_settings_or_exit(WebSettings, {"APP_ENV": "testing"}).port == 8080


def test_importing_the_settings_reads_no_environment() -> None:
    code = "import common.config, common.web.app; print('imported')"
    env = {"PATH": os.environ["PATH"], "APP_ENV": "nonsense"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "imported\n"


def test_what_is_for_development_only_stays_so_in_a_class_with_its_own_list() -> None:
    class OtherSettings(WebSettings):
        development_only: ClassVar[frozenset[str]] = frozenset({"host"})

    env = {"APP_ENV": "staging", "AUTH_ISSUER": "http://127.0.0.1:8001", "HOST": "127.0.0.1"}
    assert variables_of(OtherSettings, env) == {"AUTH_ISSUER", "HOST"}


@pytest.mark.parametrize(
    "url", ["garbage", "postgresql://u:hunter2@h/d", "sqlite://", "mysql+pymysql://u:hunter2@h/d?ssl_ca=x"]
)
def test_a_database_url_nobody_can_use_is_a_problem_among_others(url: str) -> None:
    found = {
        problem.variable: problem.message
        for problem in problems_of(ShopSettings, {"APP_ENV": "testing", "DATABASE_URL": url, "PORT": "0"})
    }
    assert found.keys() == {"DATABASE_URL", "PORT", "API_KEY"}
    assert "hunter2" not in found["DATABASE_URL"]


def test_a_file_that_holds_no_certificates_is_a_problem_among_others(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for path in ("ca.pem", "absent.pem", "."):
        env = {"APP_ENV": "testing", "DATABASE_URL": "mysql://u@h/d", "DB_TLS_CA": str(tmp_path / path)}
        assert variables_of(ShopSettings, env) == {"DB_TLS_CA", "API_KEY"}


@pytest.mark.parametrize(
    "issuer",
    ["auth", "auth.example.org", "ftp://auth.example.org", "https://", "https://a.org/?x=1", "https://a.org/#x"],
)
@pytest.mark.parametrize("app_env", ["testing", "production"])
def test_an_issuer_that_is_no_plain_url_is_a_problem(app_env: str, issuer: str) -> None:
    assert variables_of(WebSettings, {"APP_ENV": app_env, "AUTH_ISSUER": issuer}) == {"AUTH_ISSUER"}


def test_an_issuer_may_have_a_port_and_a_path() -> None:
    for issuer in ("https://auth.example.org:8443", "https://example.org/auth"):
        assert load_settings(WebSettings, {**PRODUCTION, "AUTH_ISSUER": issuer}).auth_issuer == issuer
