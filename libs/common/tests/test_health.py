import json
import threading
from collections.abc import Callable

import pytest
from common.config import Settings, load_settings
from common.health import CHECK_EVERY_SECONDS, MAX_AGE_SECONDS, Readiness
from common.logging import configure_logging
from flask.testing import FlaskClient

MakeClient = Callable[..., FlaskClient]


class Ticks:
    """A monotonic clock that moves only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Counting:
    """A check that counts its runs."""

    def __init__(self, *, passes: bool = True) -> None:
        self.passes = passes
        self.runs = 0

    def __call__(self) -> bool:
        self.runs += 1
        return self.passes


def test_a_process_that_runs_is_alive_whatever_its_checks_say(make_client: MakeClient) -> None:
    answer = make_client(checks={"schema": lambda: False}).get("/livez")
    assert (answer.status_code, answer.json) == (200, {"status": "alive"})


def test_a_process_without_checks_is_ready(make_client: MakeClient) -> None:
    answer = make_client().get("/readyz")
    assert (answer.status_code, answer.json) == (200, {"status": "ready"})


def test_a_process_whose_checks_pass_is_ready(make_client: MakeClient) -> None:
    assert make_client(checks={"schema": lambda: True}).get("/readyz").status_code == 200


def test_a_failing_check_is_503_and_named(make_client: MakeClient, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> bool:
        raise ConnectionError("secret host")

    answer = make_client(checks={"schema": lambda: False, "keys": lambda: True, "database": fail}).get("/readyz")
    assert answer.status_code == 503
    assert answer.content_type == "application/problem+json"
    assert (answer.json["code"], answer.json["detail"]) == ("not-ready", "Not ready: schema, database.")
    assert int(answer.headers["Retry-After"]) > 0
    assert "readiness_check_failed" in capsys.readouterr().out


def test_the_version_names_service_package_and_release(make_client: MakeClient) -> None:
    env = {"SERVICE_NAME": "common", "RELEASE": "2024-05-01.3"}
    assert make_client(env=env).get("/version").json == {
        "service": "common",
        "version": "0.1.0",
        "release": "2024-05-01.3",
    }


def test_a_service_that_is_not_installed_has_an_unknown_version(make_client: MakeClient) -> None:
    assert make_client(env={"SERVICE_NAME": "nowhere"}).get("/version").json["version"] == "unknown"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/version"])
def test_probes_need_no_token_and_take_no_query(make_client: MakeClient, path: str) -> None:
    client = make_client(verifier=None)
    assert client.get(path).status_code == 200
    assert client.get(path, headers={"Authorization": "Bearer nonsense"}).status_code == 200
    assert client.get(f"{path}?verbose=1").status_code == 422


def test_the_answer_is_kept_for_a_moment() -> None:
    clock, check = Ticks(), Counting()
    readiness = Readiness({"schema": check}, clock)
    assert [readiness.failing() for _ in range(5)] == [[]] * 5
    assert check.runs == 1
    clock.now += CHECK_EVERY_SECONDS
    assert readiness.failing() == []
    assert check.runs == 2


def test_a_failure_is_kept_and_forgotten_like_a_success() -> None:
    clock, check = Ticks(), Counting(passes=False)
    readiness = Readiness({"schema": check}, clock)
    assert readiness.failing() == ["schema"]
    check.passes = True
    assert readiness.failing() == ["schema"]
    clock.now += CHECK_EVERY_SECONDS
    assert readiness.failing() == []


def test_the_log_says_when_readiness_changes_and_what_fails(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(load_settings(Settings, {"APP_ENV": "testing"}))
    clock, check = Ticks(), Counting(passes=False)
    readiness = Readiness({"schema": check}, clock)
    for check.passes in (False, False, True, True):
        readiness.failing()
        clock.now += CHECK_EVERY_SECONDS
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["event"], line["failing"]) for line in lines] == [
        ("readiness_changed", ["schema"]),
        ("readiness_changed", []),
    ]


def hang(readiness: Readiness, entered: threading.Event) -> threading.Thread:
    """Ask in a thread, and return once the check has begun."""
    thread = threading.Thread(target=readiness.failing)
    thread.start()
    assert entered.wait(5)
    return thread


def test_while_a_check_runs_others_get_the_last_answer_until_it_is_too_old() -> None:
    clock, entered, leave = Ticks(), threading.Event(), threading.Event()

    def check() -> bool:
        entered.set()
        return leave.wait(5)

    readiness = Readiness({"schema": check}, clock)
    leave.set()
    assert readiness.failing() == []
    leave.clear()
    entered.clear()
    clock.now += CHECK_EVERY_SECONDS
    thread = hang(readiness, entered)
    assert readiness.failing() == []
    clock.now += MAX_AGE_SECONDS
    assert readiness.failing() == ["schema"]
    leave.set()
    thread.join()
    assert readiness.failing() == []


def test_until_the_first_answer_nothing_is_ready() -> None:
    entered, leave = threading.Event(), threading.Event()

    def check() -> bool:
        entered.set()
        return leave.wait(5)

    readiness = Readiness({"schema": check}, Ticks())
    thread = hang(readiness, entered)
    assert readiness.failing() == ["schema"]
    leave.set()
    thread.join()
    assert readiness.failing() == []
