"""What the Prometheus operator would make of ServiceMonitors and PodMonitors: targets in a live namespace.

Services are taken as the charts render them for the operator, too: only then have they a port for metrics. Which pods
are behind them is asked of the live ones. Only what the charts use is understood: matchLabels, named ports,
podTargetLabels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from devtools.say import Stop
from devtools.scraping.kubernetes import Object
from devtools.scraping.targets import as_label, container_ports


@dataclass
class Namespace:
    """What monitors select from: live pods, and rendered Services."""

    name: str
    pods: list[Object]
    services: list[Object]


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
        if set(spec["selector"]) != {"matchLabels"}:
            raise Stop(f"only matchLabels are understood, not {spec['selector']}")
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


def _selects(wanted: dict[str, str], item: Object) -> bool:
    labels = item["metadata"].get("labels", {})
    return all(labels.get(name) == value for name, value in wanted.items())


def _of_services(spec: Object, port: str, namespace: Namespace) -> Iterator[tuple[str, Object, str]]:
    for service in namespace.services:
        if not _selects(spec["selector"]["matchLabels"], service):
            continue
        for entry in service["spec"]["ports"]:
            if entry.get("name") == port:
                target = entry.get("targetPort", entry["port"])
                for address, pod in _behind(service["spec"]["selector"], target, namespace):
                    yield address, pod, service["metadata"]["name"]


def _of_pods(spec: Object, port: str, namespace: Namespace) -> Iterator[tuple[str, Object, str]]:
    for address, pod in _behind(spec["selector"]["matchLabels"], port, namespace):
        yield address, pod, ""


def _behind(labels: dict[str, str], port: str | int, namespace: Namespace) -> Iterator[tuple[str, Object]]:
    """Yield address and pod of the port, given by name or number, of the pods with the labels."""
    for pod in namespace.pods:
        if not _selects(labels, pod) or pod["status"].get("phase") != "Running":
            continue
        for entry in container_ports(pod):
            if port in (entry.get("name"), entry["containerPort"]):
                yield f"{pod['status']['podIP']}:{entry['containerPort']}", pod


def _labels_of(pod: Object, spec: Object) -> dict[str, str]:
    labels = pod["metadata"].get("labels", {})
    wanted = {as_label(name): labels[name] for name in spec.get("podTargetLabels", []) if name in labels}
    return {**wanted, "pod": pod["metadata"]["name"]}
