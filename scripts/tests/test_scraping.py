"""What the check of the scraping finds wrong, and how it reads monitors."""

from typing import Any

import pytest
from devtools.say import Stop
from devtools.scraping.monitors import Namespace, resolve, scrape_configuration
from devtools.scraping.targets import Target, problems

LABELS = {"app.kubernetes.io/name": "auth", "app.kubernetes.io/component": "web"}
TARGET_LABELS = {"app_kubernetes_io_name": "auth", "app_kubernetes_io_component": "web"}


def pod(name: str = "auth-1", ip: str = "10.0.0.1", **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": LABELS, **more.get("metadata", {})},
        "spec": {
            "containers": [
                {"ports": [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9090}]},
                {},
            ]
        },
        "status": {"phase": more.get("phase", "Running"), "podIP": ip},
    }


def target(name: str = "auth-1", address: str = "10.0.0.1:9090", health: str = "up", **labels: str) -> Target:
    return Target(address, health, {"pod": name, **TARGET_LABELS, **labels}, "" if health == "up" else "refused")


def monitor(kind: str = "ServiceMonitor", port: str = "metrics", **selector: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {"name": "auth", "namespace": "shop"},
        "spec": {
            "selector": {"matchLabels": selector or {"app.kubernetes.io/name": "auth"}},
            "namespaceSelector": {"matchNames": ["shop"]},
            "podTargetLabels": list(LABELS),
            "endpoints" if kind == "ServiceMonitor" else "podMetricsEndpoints": [{"port": port, "path": "/metrics"}],
        },
    }


def namespace(*pods: dict[str, Any]) -> Namespace:
    service = {
        "metadata": {"name": "auth", "labels": LABELS},
        "spec": {
            "selector": {"app.kubernetes.io/name": "auth"},
            "ports": [
                {"name": "http", "port": 80, "targetPort": "http"},
                {"name": "metrics", "port": 81, "targetPort": "metrics"},
            ],
        },
    }
    return Namespace("shop", list(pods), [service])


def test_one_target_a_pod_is_right() -> None:
    pods = [pod(), pod("auth-2", "10.0.0.2")]
    assert problems(pods, [target(), target("auth-2", "10.0.0.2:9090")]) == []


@pytest.mark.parametrize(
    ("targets", "fault"),
    [
        ([], "auth-1: not scraped (10.0.0.1:9090)"),
        ([target(), target(job="again")], "10.0.0.1:9090: scraped 2 times"),
        ([target(health="down")], "auth-1: down (10.0.0.1:9090) refused"),
        ([target(health="unknown")], "auth-1: unknown (10.0.0.1:9090) refused"),
        ([target(), target("auth-1", "10.0.0.1:8080")], "auth-1: scraped, and has no port metrics (10.0.0.1:8080)"),
        (
            [target(app_kubernetes_io_name="")],
            "auth-1: its target has app_kubernetes_io_name='' instead of 'auth'",
        ),
    ],
)
def test_fault_is_named(targets: list[Target], fault: str) -> None:
    assert problems([pod()], targets) == [fault]


def test_pods_that_come_and_go_are_no_fault() -> None:
    ended = pod("auth-test", "10.0.0.8", phase="Succeeded")
    going = pod("auth-0", "10.0.0.9", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    assert problems([pod(), ended, going], [target(), target("auth-0", "10.0.0.9:9090", health="down")]) == []


@pytest.mark.parametrize("kind", ["ServiceMonitor", "PodMonitor"])
def test_monitor_yields_the_port_of_each_pod_with_the_labels_of_the_pod(kind: str) -> None:
    pods = [pod(), pod("auth-2", "10.0.0.2")]
    resolved = resolve([monitor(kind)], namespace(*pods))
    assert resolved.unmatched == []
    assert [entry["targets"] for entry in resolved.entries] == [["10.0.0.1:9090"], ["10.0.0.2:9090"]]
    job = {"ServiceMonitor": "auth", "PodMonitor": "shop/auth"}[kind]
    assert resolved.entries[0]["labels"] == {**TARGET_LABELS, "pod": "auth-1", "namespace": "shop", "job": job}
    assert len(scrape_configuration(resolved.entries)["scrape_configs"]) == 2


@pytest.mark.parametrize("kind", ["ServiceMonitor", "PodMonitor"])
@pytest.mark.parametrize("wrong", [{"port": "metric"}, {"app": "auth"}])
def test_monitor_that_selects_nothing_is_named(kind: str, wrong: dict[str, str]) -> None:
    resolved = resolve([monitor(kind, **wrong)], namespace(pod()))
    assert resolved.entries == []
    assert resolved.unmatched == [f"{kind} auth selects nothing with a port {wrong.get('port', 'metrics')}"]


def test_monitor_that_looks_elsewhere_is_named() -> None:
    elsewhere = monitor()
    elsewhere["spec"]["namespaceSelector"] = {"matchNames": ["staging"]}
    assert resolve([elsewhere], namespace(pod())).unmatched == ["ServiceMonitor auth does not look at shop"]


def test_selectors_that_are_not_understood_stop_the_check() -> None:
    odd = monitor()
    odd["spec"]["selector"] = {"matchExpressions": []}
    with pytest.raises(Stop):
        resolve([odd], namespace(pod()))
