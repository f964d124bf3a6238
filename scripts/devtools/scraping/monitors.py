"""What the Prometheus operator would make of ServiceMonitors and PodMonitors: targets in a live namespace.

Only what the charts' monitors use: matchLabels, named ports, podTargetLabels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from devtools.say import Stop
from devtools.scraping.kubernetes import Object
from devtools.scraping.targets import as_label, container_ports

SERVICE_NAME = "kubernetes.io/service-name"


@dataclass
class Namespace:
    """The objects that monitors select from."""

    name: str
    pods: list[Object]
    services: list[Object]
    slices: list[Object]


@dataclass
class Resolved:
    """Entries for a static scrape configuration, and monitors that would silently find nothing."""

    entries: list[Object] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)


def resolve(monitors: Sequence[Object], namespace: Namespace) -> Resolved:
    """Return the targets that the monitors select."""
    resolved = Resolved()
    for monitor in monitors:
        kind, name, spec = monitor["kind"], monitor["metadata"]["name"], monitor["spec"]
        if monitor["metadata"].get("namespace") != namespace.name or not _looks_at(spec, namespace.name):
            resolved.unmatched.append(f"{kind} {name} does not look at {namespace.name}")
            continue
        for endpoint in spec["endpoints" if kind == "ServiceMonitor" else "podMetricsEndpoints"]:
            find = _of_services if kind == "ServiceMonitor" else _of_pods
            found = list(find(spec, endpoint["port"], namespace))
            if not found:
                resolved.unmatched.append(f"{kind} {name} selects nothing with a port {endpoint['port']}")
            for address, pod, job in found:
                labels = {
                    **_labels_of(pod, spec),
                    "namespace": namespace.name,
                    "job": job or f"{namespace.name}/{name}",
                }
                resolved.entries.append(
                    {"path": endpoint.get("path", "/metrics"), "targets": [address], "labels": labels}
                )
    return resolved


def scrape_configuration(entries: Sequence[Object]) -> Object:
    """Return a configuration for Prometheus, which reads JSON as YAML."""
    jobs = [
        {
            "job_name": f"monitor-{number}",
            "metrics_path": entry["path"],
            "static_configs": [{"targets": entry["targets"], "labels": entry["labels"]}],
        }
        for number, entry in enumerate(entries)
    ]
    return {"global": {"scrape_interval": "5s", "scrape_timeout": "4s"}, "scrape_configs": jobs}


def _looks_at(spec: Object, namespace: str) -> bool:
    names: list[str] | None = spec.get("namespaceSelector", {}).get("matchNames")
    return names is None or namespace in names


def _selects(spec: Object, item: Object) -> bool:
    if set(spec["selector"]) != {"matchLabels"}:
        raise Stop(f"only matchLabels are understood, not {spec['selector']}")
    labels = item["metadata"].get("labels", {})
    return all(labels.get(name) == value for name, value in spec["selector"]["matchLabels"].items())


def _of_services(spec: Object, port: str, namespace: Namespace) -> Iterator[tuple[str, Object, str]]:
    pods = {pod["metadata"]["name"]: pod for pod in namespace.pods}
    for service in namespace.services:
        if not _selects(spec, service) or port not in {entry.get("name") for entry in service["spec"]["ports"]}:
            continue
        name = service["metadata"]["name"]
        for part in namespace.slices:
            if part["metadata"]["labels"].get(SERVICE_NAME) != name:
                continue
            numbers = [entry["port"] for entry in part.get("ports") or [] if entry.get("name") == port]
            for endpoint in part.get("endpoints") or []:
                for number in numbers:
                    yield f"{endpoint['addresses'][0]}:{number}", pods[endpoint["targetRef"]["name"]], name


def _of_pods(spec: Object, port: str, namespace: Namespace) -> Iterator[tuple[str, Object, str]]:
    for pod in namespace.pods:
        if not _selects(spec, pod) or pod["status"].get("phase") in {"Succeeded", "Failed"}:
            continue
        for entry in container_ports(pod):
            if entry.get("name") == port and pod["status"].get("podIP"):
                yield f"{pod['status']['podIP']}:{entry['containerPort']}", pod, ""


def _labels_of(pod: Object, spec: Object) -> dict[str, str]:
    labels = pod["metadata"].get("labels", {})
    wanted = {as_label(name): labels[name] for name in spec.get("podTargetLabels", []) if name in labels}
    return {**wanted, "pod": pod["metadata"]["name"]}
