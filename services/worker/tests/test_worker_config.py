"""The settings of worker and dispatcher: defaults per environment, and what is refused at the start."""

import re
import subprocess
import sys
from pathlib import Path

import kombu.utils.url
import pytest
from common.config import ConfigError, load_settings
from jobs import metrics
from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase
from sqlalchemy import make_url
from worker_service.config import DispatcherSettings, WorkerSettings

PRODUCTION = {
    "APP_ENV": "production",
    "BROKER_URL": "rediss://valkey:6379/0",
    "JOB_STORES": "api=mysql+pymysql://api_worker:secret@mysql/api,auth=mysql+pymysql://auth_worker:secret@mysql/auth",
}


README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_readme_lists_every_metric() -> None:
    collectors = [each for each in vars(metrics).values() if isinstance(each, MetricWrapperBase)]
    names = {
        next(iter(collector.describe())).name + "_total" * isinstance(collector, Counter) for collector in collectors
    }
    assert {name for name in names if f"`{name}{{store" not in README} == set()


def test_the_readme_lists_every_variable_and_no_other() -> None:
    listed = set(re.findall(r"^\| `([A-Z_]+)` \| [WD ]+ \|", README, re.MULTILINE))
    fields = WorkerSettings.model_fields.keys() | DispatcherSettings.model_fields.keys()
    assert listed == {name.upper() for name in fields} | {"SECRETS_DIR", "PROMETHEUS_MULTIPROC_DIR"}


def test_a_developer_needs_to_set_nothing() -> None:
    worker = load_settings(WorkerSettings, {"APP_ENV": "development"})
    assert worker.store_urls == {"api": "sqlite:///.local/data/api.db", "auth": "sqlite:///.local/data/auth.db"}
    assert (worker.host, worker.metrics_port, worker.worker_soft_shutdown_seconds) == ("127.0.0.1", 9103, 3)
    dispatcher = load_settings(DispatcherSettings, {"APP_ENV": "development"})
    assert (dispatcher.service_name, dispatcher.metrics_port) == ("dispatcher", 9104)


def test_production_takes_stores_and_broker_from_its_environment() -> None:
    settings = load_settings(WorkerSettings, PRODUCTION)
    assert list(settings.store_urls) == ["api", "auth"]
    assert (settings.job_lease_seconds, settings.heartbeat_seconds, settings.worker_soft_shutdown_seconds) == (
        30,
        10,
        30,
    )
    assert settings.metrics_port == 9090
    assert "secret" not in repr(settings)
    assert load_settings(DispatcherSettings, PRODUCTION).dispatcher_redispatch_seconds == 60


def test_a_heartbeat_is_a_third_of_the_lease_unless_set() -> None:
    assert load_settings(WorkerSettings, PRODUCTION | {"JOB_LEASE_SECONDS": "6"}).heartbeat_seconds == 2
    chosen = load_settings(WorkerSettings, PRODUCTION | {"JOB_HEARTBEAT_SECONDS": "5"})
    assert chosen.heartbeat_seconds == 5


def test_queues_are_a_list() -> None:
    assert load_settings(WorkerSettings, PRODUCTION | {"WORKER_QUEUES": "default, slow"}).worker_queues == (
        "default",
        "slow",
    )


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"JOB_STORES": "api"}, "JOB_STORES"),
        ({"JOB_STORES": ""}, "JOB_STORES"),
        ({"JOB_STORES": "api=sqlite:///.local/data/api.db,auth=sqlite:///.local/data/auth.db"}, "JOB_STORES"),
        ({"BROKER_URL": "amqp://rabbit"}, "BROKER_URL"),
        ({"BROKER_URL": "redis://127.0.0.1:8003/0"}, "BROKER_URL"),
        ({"JOB_LEASE_SECONDS": "1"}, "JOB_LEASE_SECONDS"),
        ({"WORKER_CONCURRENCY": "0"}, "WORKER_CONCURRENCY"),
    ],
)
def test_what_cannot_work_is_refused_by_the_name_of_its_variable(changes: dict[str, str], variable: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load_settings(WorkerSettings, PRODUCTION | changes)
    assert [problem.variable for problem in refusal.value.problems] == [variable]
    assert "secret" not in str(refusal.value)


def test_passwords_of_stores_and_broker_may_be_in_files(tmp_path: Path) -> None:
    for name, password in {"api": "a,b=c@d", "auth": "second", "broker": "s3cret/"}.items():
        (tmp_path / name).write_text(f"{password}\n")
    urls = {
        "BROKER_URL": f"redis://broker@valkey:6379/0?password_file={tmp_path}/broker",
        "JOB_STORES": f"api=mysql+pymysql://api_worker@mysql/api?charset=utf8mb4&password_file={tmp_path}/api,"
        f" auth=mysql+pymysql://auth_worker@mysql/auth?password_file={tmp_path}/auth",
    }
    settings = load_settings(WorkerSettings, PRODUCTION | urls)
    api, auth = (make_url(url) for url in settings.store_urls.values())
    assert (api.password, auth.password) == ("a,b=c@d", "second")
    assert (api.query, auth.query) == ({"charset": "utf8mb4"}, {})
    broker = kombu.utils.url.parse_url(settings.broker_url.get_secret_value())
    assert (broker["userid"], broker["password"], broker["virtual_host"]) == ("broker", "s3cret/", "0")
    assert "s3cret" not in repr(settings)


def test_each_store_without_its_password_is_named() -> None:
    stores = "api=mysql://u@h/n?password_file=/not/there,sqlite=sqlite:////n.db,auth=mysql://h/n?password_file=/x"
    broker = "redis://valkey/0?password_file=/x"
    with pytest.raises(ConfigError) as refusal:
        load_settings(WorkerSettings, {"APP_ENV": "production", "JOB_STORES": stores, "BROKER_URL": broker})
    faults = {problem.variable: problem.message for problem in refusal.value.problems}
    assert "store api: password_file /not/there cannot be read" in faults["JOB_STORES"]
    assert "store auth: has a password_file but no user" in faults["JOB_STORES"]
    assert "no user" in faults["BROKER_URL"]


def test_a_heartbeat_too_slow_for_its_lease_is_refused() -> None:
    with pytest.raises(ConfigError, match="JOB_HEARTBEAT_SECONDS has to be at most half of JOB_LEASE_SECONDS"):
        load_settings(WorkerSettings, PRODUCTION | {"JOB_HEARTBEAT_SECONDS": "20"})


@pytest.mark.parametrize("module", ["worker_service.worker", "worker_service.dispatcher"])
def test_a_program_without_its_settings_names_all_of_them_and_exits_with_78(module: str) -> None:
    program = subprocess.run(
        [sys.executable, "-m", module], env={"APP_ENV": "staging"}, capture_output=True, check=False
    )
    assert program.returncode == 78
    assert b"BROKER_URL: is not set" in program.stderr
    assert b"JOB_STORES: is not set" in program.stderr
    assert b"Traceback" not in program.stderr
