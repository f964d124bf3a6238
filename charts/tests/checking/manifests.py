"""Reading of rendered objects: pods wherever they stand, their containers, labels and hooks."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")
CLUSTER_SCOPED = ("Namespace", "PriorityClass", "ClusterRole", "ClusterRoleBinding")


@dataclass(frozen=True)
class Pod:
    """A pod or a template of one, and the object that it stands in."""

    owner: Document
    metadata: Document
    spec: Document

    @property
    def name(self) -> str:
        return name_of(self.owner)

    @property
    def labels(self) -> dict[str, str]:
        labels: dict[str, str] = self.metadata.get("labels") or {}
        return labels

    @property
    def annotations(self) -> dict[str, str]:
        annotations: dict[str, str] = self.metadata.get("annotations") or {}
        return annotations

    def containers(self) -> list[Document]:
        """Return all containers, those of the start first."""
        return [*self.spec.get("initContainers", []), *self.spec.get("containers", [])]

    def running(self) -> list[Document]:
        """Return what runs as long as the pod does: its containers and native sidecars."""
        sidecars = [item for item in self.spec.get("initContainers", []) if item.get("restartPolicy") == "Always"]
        return [*sidecars, *self.spec.get("containers", [])]

    def ports(self) -> dict[str, int]:
        """Return the named ports of what runs."""
        return {
            port["name"]: port["containerPort"]
            for item in self.running()
            for port in item.get("ports", [])
            if "name" in port
        }


def name_of(document: Document) -> str:
    return f"{document['kind']}/{document['metadata']['name']}"


def pods(documents: Iterable[Document]) -> list[Pod]:
    """Return every pod that the objects are or make, hooks and tests included."""
    return [pod for document in documents if (pod := _pod(document)) is not None]


def _pod(document: Document) -> Pod | None:
    match document["kind"]:
        case "Pod":
            return Pod(document, document["metadata"], document["spec"])
        case "CronJob":
            template = document["spec"]["jobTemplate"]["spec"]["template"]
        case "Deployment" | "StatefulSet" | "DaemonSet" | "Job" | "ReplicaSet":
            template = document["spec"]["template"]
        case _:
            return None
    return Pod(document, template.get("metadata") or {}, template["spec"])


def of_kind(documents: Iterable[Document], *kinds: str) -> list[Document]:
    return [document for document in documents if document["kind"] in kinds]


def hooks(document: Document) -> set[str]:
    """Return the moments at which Helm runs an object; nothing for an ordinary one."""
    value = (document["metadata"].get("annotations") or {}).get("helm.sh/hook", "")
    return {name.strip() for name in value.split(",") if name.strip()}


def matches(selector: Document | None, labels: dict[str, str]) -> bool:
    """Say whether a label selector selects; an empty one selects everything, None nothing."""
    if selector is None:
        return False
    exact = all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return exact and all(_expression(item, labels) for item in selector.get("matchExpressions") or [])


def _expression(expression: Document, labels: dict[str, str]) -> bool:
    value = labels.get(expression["key"])
    match expression["operator"]:
        case "In":
            return value in expression["values"]
        case "NotIn":
            return value not in expression["values"]
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case operator:
            raise ValueError(operator)


def texts(node: Any) -> Iterator[str]:
    """Return every text in an object, however deep."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value)
