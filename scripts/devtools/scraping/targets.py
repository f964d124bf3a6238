"""Which pods have to be scraped, and what is wrong with the targets that a Prometheus has."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from devtools.scraping.kubernetes import Object

PORT_NAME = "metrics"
NAME, COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"


def as_label(name: str) -> str:
    """Return a Kubernetes label's name as Prometheus writes it."""
    return "".join(character if character.isalnum() else "_" for character in name)


@dataclass(frozen=True)
class Target:
    """One address a Prometheus scrapes."""

    address: str
    health: str
    labels: dict[str, str] = field(hash=False)
    error: str = ""

    @property
    def pod(self) -> str:
        return self.labels.get("pod", "")


def from_answer(answer: dict[str, Any], namespace: str) -> list[Target]:
    """Return the targets of a namespace in Prometheus' answer to /api/v1/targets."""
    return [
        Target(found["scrapeUrl"].split("/")[2], found["health"], found["labels"], found["lastError"])
        for found in answer["data"]["activeTargets"]
        if found["labels"].get("namespace") == namespace
    ]


def container_ports(pod: Object) -> Iterator[Object]:
    """Yield the declared ports of all containers that stay."""
    for container in pod["spec"]["containers"]:
        yield from container.get("ports", [])


def is_running(pod: Object) -> bool:
    """Whether the pod has an address and is not about to go."""
    return pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]


def expected(pods: Iterable[Object]) -> dict[str, Object]:
    """Return, by address, the pods with a port called metrics.

    The port and not the annotation: a pod somebody forgot to annotate has to be missed.
    """
    return {
        f"{pod['status']['podIP']}:{port['containerPort']}": pod
        for pod in pods
        if is_running(pod)
        for port in container_ports(pod)
        if port.get("name") == PORT_NAME
    }


def problems(pods: Sequence[Object], targets: Sequence[Target]) -> list[str]:
    """Return what is wrong, a line each: missing, double, down, unexpected, or without the labels rules look for."""
    wanted = expected(pods)
    going = {pod["metadata"]["name"] for pod in pods if not is_running(pod)}
    times = Counter(target.address for target in targets)
    found = [f"{_name(pod)}: not scraped ({address})" for address, pod in wanted.items() if address not in times]
    found += [f"{address}: scraped {count} times" for address, count in times.items() if count > 1]
    for target in targets:
        if target.address not in wanted:
            if target.pod not in going:
                found.append(f"{target.pod or '?'}: scraped, and has no port {PORT_NAME} ({target.address})")
        elif target.health != "up":
            found.append(f"{target.pod}: {target.health} ({target.address}) {target.error}".rstrip())
        else:
            found += _wrong_labels(target, wanted[target.address])
    return sorted(set(found))


def _wrong_labels(target: Target, pod: Object) -> Iterator[str]:
    labels = pod["metadata"].get("labels", {})
    kept = {as_label(name): labels[name] for name in (NAME, COMPONENT) if name in labels}
    for name, value in {"pod": pod["metadata"]["name"], **kept}.items():
        if target.labels.get(name) != value:
            yield f"{_name(pod)}: its target has {name}={target.labels.get(name, '')!r} instead of {value!r}"


def _name(pod: Object) -> str:
    return str(pod["metadata"]["name"])
