"""Alert rules and dashboards: whole, tested, explained in a runbook, and about metrics that somebody exposes.

What the alerts do is said in rules/*.yaml, which promtool runs (scripts/check-rules). Without it these tests still hold
everything else.
"""

import ast
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
RULE_FILES = sorted(ROOT.glob("charts/*/files/rules/*.yaml"))
UNIT_TESTS = sorted(ROOT.glob("charts/tests/rules/*.yaml"))
DASHBOARDS = sorted(ROOT.glob("charts/*/files/dashboards/*.json"))
PROMTOOL = shutil.which(os.environ.get("PROMTOOL", "promtool")) or shutil.which(ROOT / ".local/bin/promtool")
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster where libyaml came along
ANNOTATIONS = {"summary", "description", "runbook"}

# Metrics that are not made in libs/ and services/, by who exposes them.
FLASK_EXPORTER = {
    "flask_http_request_duration_seconds": "histogram",
    "flask_http_request_total": "counter",
}
MYSQLD_EXPORTER = {  # collectors global_status and global_variables
    "mysql_up": "gauge",
    "mysql_global_status_aborted_clients": "counter",
    "mysql_global_status_aborted_connects": "counter",
    "mysql_global_status_buffer_pool_pages": "gauge",
    "mysql_global_status_commands_total": "counter",
    "mysql_global_status_connection_errors_total": "counter",
    "mysql_global_status_innodb_buffer_pool_read_requests": "counter",
    "mysql_global_status_innodb_buffer_pool_reads": "counter",
    "mysql_global_status_innodb_page_size": "gauge",
    "mysql_global_status_innodb_row_lock_waits": "counter",
    "mysql_global_status_questions": "counter",
    "mysql_global_status_slow_queries": "counter",
    "mysql_global_status_threads_connected": "gauge",
    "mysql_global_status_threads_running": "gauge",
    "mysql_global_status_uptime": "gauge",
    "mysql_global_variables_innodb_buffer_pool_size": "gauge",
    "mysql_global_variables_max_connections": "gauge",
}
CLIENT_LIBRARY = {  # of a program with one process: the dispatcher
    "process_cpu_seconds_total": "counter",
    "process_resident_memory_bytes": "gauge",
}
KUBE_STATE_METRICS = {
    "kube_deployment_status_condition": "gauge",
    "kube_horizontalpodautoscaler_spec_max_replicas": "gauge",
    "kube_horizontalpodautoscaler_spec_min_replicas": "gauge",
    "kube_horizontalpodautoscaler_status_current_replicas": "gauge",
    "kube_job_failed": "gauge",
    "kube_pod_container_status_last_terminated_reason": "gauge",
    "kube_pod_container_status_restarts_total": "counter",
}
KUBELET = {
    "kubelet_volume_stats_available_bytes": "gauge",
    "kubelet_volume_stats_capacity_bytes": "gauge",
    "kubelet_volume_stats_used_bytes": "gauge",
}
OF_THE_CLUSTER = KUBE_STATE_METRICS | KUBELET
# Labels that Prometheus gives to a target of ours, and those of metrics above that the rules look at.
TARGET_LABELS = {"namespace", "pod", "app_kubernetes_io_name", "app_kubernetes_io_component", "le"}
OTHER_LABELS = {
    "flask_http_request_duration_seconds": {"method", "status", "url_rule"},
    "flask_http_request_total": {"method", "status"},
}


@cache
def read(path: Path) -> Any:
    """Return a YAML file, read once."""
    return yaml.load(path.read_text(), Loader=LOADER)


@cache
def our_metrics() -> dict[str, tuple[str, frozenset[str]]]:
    """Return kind and labels of every metric declared in libs/ and services/, under its exposed name."""
    found = {}
    for path in [*ROOT.glob("libs/*/*/**/*.py"), *ROOT.glob("services/*/*/**/*.py")]:
        source = path.read_text()
        if "prometheus_client" not in source:
            continue
        for call in ast.walk(ast.parse(source)):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Name)
                and call.func.id in {"Counter", "Gauge", "Histogram"}
                and len(call.args) > 1  # name and help
                and isinstance(call.args[0], ast.Constant)
            ):
                kind = call.func.id.lower()
                name = call.args[0].value + ("_total" if kind == "counter" else "")
                labels = ast.literal_eval(call.args[2]) if len(call.args) > 2 else []
                found[name] = (kind, frozenset(labels))
    return found


@cache
def known_series() -> dict[str, str]:
    """Return every name that may stand in an expression, and the metric it belongs to."""
    kinds = {name: kind for name, (kind, _) in our_metrics().items()}
    kinds |= FLASK_EXPORTER | MYSQLD_EXPORTER | CLIENT_LIBRARY | OF_THE_CLUSTER | {"up": "gauge"}
    series = {}
    for name, kind in kinds.items():
        endings = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        series |= {name + ending: name for ending in endings}
    return series


def alerts() -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in RULE_FILES:
        for group in read(path)["groups"]:
            for rule in group["rules"]:
                yield path, rule


ALERTS = [pytest.param(path, rule, id=rule["alert"]) for path, rule in alerts()]


def metrics_in(expression: str) -> set[str]:
    """Return the metrics an expression names: words that are no function, keyword, label, duration or number."""
    text = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    text = re.sub(r"\{[^}]*\}", " ", text)
    text = re.sub(r"\[[^\]]*\]", " ", text)
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", text)
    words = re.findall(r"(?<![\w.])[A-Za-z_:][\w:]*(?!\s*\()\b", text)
    return {word for word in words if word not in {"and", "or", "unless", "bool", "offset", "by", "on"}}


def selectors_in(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each metric with the labels it is selected by."""
    for metric, inside in re.findall(r"([A-Za-z_:][\w:]*)\{([^}]*)\}", expression):
        yield metric, set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', inside))


def wrong_labels(expression: str) -> list[str]:
    """Return where one of our metrics is selected by a label it does not have: that finds nothing, silently."""
    wrong = []
    for series, labels in selectors_in(expression):
        metric = known_series().get(series, series)
        declared = our_metrics().get(metric, (None, OTHER_LABELS.get(metric)))[1]
        if metric == "up":
            declared = frozenset()
        if declared is not None:
            wrong += [f"{series}{{{label}}}" for label in sorted(labels - declared - TARGET_LABELS)]
    return wrong


def headings(path: Path) -> set[str]:
    """Return the anchors of a page."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@cache
def expectations() -> tuple[set[str], set[str]]:
    """Return the alerts that some unit test expects to fire, and those that one expects not to."""
    fire, stay_quiet = set(), set()
    for path in UNIT_TESTS:
        for test in read(path)["tests"]:
            for check in test.get("promql_expr_test", ()):
                expected = check["exp_samples"]
                fire |= {
                    match[1] for sample in expected
                    if (match := re.search(r'alertname="(\w+)", alertstate="firing"', sample["labels"]))
                }  # fmt: skip
                named = re.search(r'alertname=~?"([\w.+]+)"', check["expr"])
                if named and not expected:
                    stay_quiet |= {rule["alert"] for _, rule in alerts() if re.fullmatch(named[1], rule["alert"])}
    return fire, stay_quiet


def test_there_are_rules_tests_and_dashboards() -> None:
    assert len(RULE_FILES) >= 8
    assert len(UNIT_TESTS) == len(RULE_FILES)
    assert len(DASHBOARDS) == 4


def test_our_metrics_are_read_from_the_code() -> None:
    assert our_metrics()["job_outcomes_total"] == ("counter", frozenset({"store", "kind", "outcome"}))
    assert our_metrics()["token_verifications_total"] == ("counter", frozenset({"outcome"}))
    assert our_metrics()["job_wait_seconds"][0] == "histogram"


def test_names_are_told_from_the_rest_of_an_expression() -> None:
    expression = """
        histogram_quantile(0.95, sum by (namespace, le) (rate(a_bucket{x="b{}"}[5m]))) > 14.4 * 1e3
        and on (namespace) c offset 30m == bool 0 unless max without (pod) (d)
    """
    assert metrics_in(expression) == {"a_bucket", "c", "d"}


@pytest.mark.parametrize(("path", "rule"), ALERTS)
def test_alert_is_complete(path: Path, rule: dict[str, Any]) -> None:
    assert set(rule["annotations"]) == ANNOTATIONS
    assert rule["labels"] == {"severity": rule["labels"]["severity"]}
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert "namespace" in rule["annotations"]["summary"], "whoever is woken has to know where"
    # A label of the text that the expression does not keep renders as nothing.
    used = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    kept = re.findall(r"\bby \(([^)]*)\)", rule["expr"])
    assert all(used <= {label.strip() for label in labels.split(",")} | {"le"} for labels in kept[:1]), (used, kept)


@pytest.mark.parametrize(("path", "rule"), ALERTS)
def test_alert_is_explained_in_a_runbook(path: Path, rule: dict[str, Any]) -> None:
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert (ROOT / page).is_file()
    assert anchor in headings(ROOT / page)


@pytest.mark.parametrize(("path", "rule"), ALERTS)
def test_alert_is_about_metrics_that_exist(path: Path, rule: dict[str, Any]) -> None:
    assert metrics_in(rule["expr"]) <= known_series().keys()
    assert not wrong_labels(rule["expr"])


@pytest.mark.parametrize(("path", "rule"), ALERTS)
def test_alert_has_unit_tests_in_which_it_fires_and_does_not(path: Path, rule: dict[str, Any]) -> None:
    fire, stay_quiet = expectations()
    assert rule["alert"] in fire, "no test expects it to fire"
    assert rule["alert"] in stay_quiet, "no test expects it not to fire"


def test_alert_names_are_unique() -> None:
    names = [rule["alert"] for _, rule in alerts()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", RULE_FILES, ids=lambda path: f"{path.parts[-4]}-{path.stem}")
def test_what_needs_more_than_our_own_metrics_is_kept_apart(path: Path) -> None:
    """Whoever has no kube-state-metrics can see at the file's name what will never fire."""
    of_the_cluster = [bool(metrics_in(rule["expr"]) & OF_THE_CLUSTER.keys()) for at, rule in alerts() if at == path]
    assert all(of_the_cluster) if path.stem == "kubernetes" else not any(of_the_cluster)


def test_auth_and_api_differ_only_where_they_have_to() -> None:
    """The same service twice: a rule mended in one file and forgotten in the other would be found years later."""

    def shared(chart: str, name: str) -> dict[str, Any]:
        text = (ROOT / f"charts/{chart}/files/rules/{name}.yaml").read_text()
        text = text.replace(chart, "service").replace(chart.capitalize(), "Service")
        rules = [rule for group in yaml.load(text, Loader=LOADER)["groups"] for rule in group["rules"]]
        own = {
            *("ServiceSlow", "ServiceDoesNotKnowKeys", "ServiceKeysNotConfirmed", "ServiceKeysExpireSoon"),
            *("ServiceCannotPublishRevocations", "ServiceDoesNotReconcileRevocations", "ServiceKeepsOldKeys"),
            *("ServiceRefreshTokenReused", "ServiceRefreshRetriedElsewhere"),
        }
        return {
            rule["alert"]: (rule["expr"], rule.get("for"), rule["labels"]) for rule in rules if rule["alert"] not in own
        }

    assert shared("auth", "alerts") == shared("api", "alerts")
    assert shared("auth", "kubernetes") == shared("api", "kubernetes")


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool: scripts/check-rules --fetch, or PROMTOOL=...")
def test_promtool_agrees() -> None:
    done = subprocess.run(
        [ROOT / "scripts/check-rules"],
        capture_output=True, text=True, check=False, env={**os.environ, "PROMTOOL": str(PROMTOOL)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (panel for panel in board["panels"] if panel["type"] != "row")


def expressions(board: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in panels(board) for target in panel["targets"]]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboard_can_be_loaded_by_any_grafana(path: Path) -> None:
    board = json.loads(path.read_text())
    assert re.fullmatch(r"[a-z0-9-]{1,40}", board["uid"])
    assert board["title"]
    assert board["schemaVersion"] >= 36
    assert "id" not in board, "an id belongs to one Grafana"
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert list(variables) == ["datasource", "namespace"], "a variable is filled before those that ask through it"
    identifiers = [panel["id"] for panel in board["panels"]]
    assert len(identifiers) == len(set(identifiers))
    for panel in panels(board):
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        for source in [panel["datasource"], *(target["datasource"] for target in panel["targets"])]:
            assert source == {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_do_not_overlap(path: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(path.read_text())["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboard_is_about_metrics_that_exist(path: Path) -> None:
    board = json.loads(path.read_text())
    asked = re.sub(r"label_values\((.*), \w+\)", r"\1", board["templating"]["list"][1]["query"]["query"])
    for expression in [asked, *expressions(board)]:
        assert metrics_in(expression) <= known_series().keys(), expression
        assert not wrong_labels(expression), expression
        assert 'namespace="$namespace"' in expression or expression == asked, expression


def test_dashboards_have_names_of_their_own() -> None:
    """Grafana's sidecar writes all of them into one folder, by file name."""
    names = [path.name for path in DASHBOARDS]
    identifiers = [json.loads(path.read_text())["uid"] for path in DASHBOARDS]
    assert len(names) == len(set(names)) == len(set(identifiers))


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool: scripts/check-rules --fetch, or PROMTOOL=...")
@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboard_asks_in_promql(path: Path, tmp_path: Path) -> None:
    asked = [expression.replace("$__rate_interval", "5m") for expression in expressions(json.loads(path.read_text()))]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(asked)]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run([str(PROMTOOL), "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
