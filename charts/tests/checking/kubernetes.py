"""Validation against Kubernetes' own schemas, which the package kubernetes-validate ships."""

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema
import referencing

Document = dict[str, Any]

# Kinds of custom resources that the charts render, with the fields without which the resource means nothing; there are
# no offline schemas for them. Any other kind unknown to Kubernetes is an error: it would be refused by the server too.
CUSTOM: dict[tuple[str, str], tuple[str, ...]] = {
    ("monitoring.coreos.com/v1", "ServiceMonitor"): ("spec.selector.matchLabels", "spec.endpoints.*.port"),
    ("monitoring.coreos.com/v1", "PodMonitor"): ("spec.selector.matchLabels", "spec.podMetricsEndpoints.*.port"),
    ("monitoring.coreos.com/v1", "PrometheusRule"): ("spec.groups.*.name", "spec.groups.*.rules.*.expr"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): (
        "spec.parentRefs.*.name",
        "spec.hostnames",
        "spec.rules.*.backendRefs.*.name",
        "spec.rules.*.backendRefs.*.port",
    ),
}
# What an operator or gateway knows in `spec`; a misspelt field would be dropped without a word.
CUSTOM_FIELDS = {
    "ServiceMonitor": {"selector", "namespaceSelector", "endpoints", "jobLabel", "targetLabels", "podTargetLabels"},
    "PodMonitor": {"selector", "namespaceSelector", "podMetricsEndpoints", "jobLabel", "podTargetLabels"},
    "PrometheusRule": {"groups"},
    "HTTPRoute": {"parentRefs", "hostnames", "rules"},
}


def problems(document: Document, version: str) -> list[str]:
    """Return everything the server of that version would refuse about an object's form, unknown fields included."""
    identity = (document.get("apiVersion", ""), document.get("kind", ""))
    if identity in CUSTOM:
        return [f"{identity[1]}: {problem}" for problem in _custom_problems(document, CUSTOM[identity])]
    validator = _validator(*identity, version)
    if validator is None:
        return [f"Kubernetes {version} does not know {identity[1]} of {identity[0]}"]
    return [
        f"{identity[1]}/{document.get('metadata', {}).get('name')}: {error.json_path}: {error.message}"
        for error in validator.iter_errors(document)
    ]


def _custom_problems(document: Document, required: tuple[str, ...]) -> list[str]:
    found = [f"{path} is missing or empty" for path in required if not all(values_at(document, path.split(".")))]
    found += [f"{path} is missing or empty" for path in required if not values_at(document, path.split("."))]
    unknown = set(document.get("spec", {})) - CUSTOM_FIELDS[document["kind"]]
    return found + [f"spec.{name} is not a known field" for name in sorted(unknown)]


def values_at(node: Any, path: list[str]) -> list[Any]:
    """Return all values at a path whose `*` stands for every item of a list; None for each that is not there."""
    if not path:
        return [node]
    if path[0] == "*":
        return [value for item in node or [] for value in values_at(item, path[1:])]
    return values_at(node.get(path[0]), path[1:]) if isinstance(node, dict) else [None]


@cache
def _validator(api_version: str, kind: str, version: str) -> jsonschema.Draft202012Validator | None:
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    schema = _schemas(version).joinpath(f"{kind.lower()}-{group}.json")
    if not schema.is_file():
        return None
    contents = json.loads(schema.read_text())
    registry = referencing.Resource.from_contents(contents) @ _definitions(version)
    return jsonschema.Draft202012Validator(contents, registry=registry)


@cache
def _definitions(version: str) -> Any:
    contents = json.loads(_schemas(version).joinpath("_definitions.json").read_text())
    return referencing.Resource.from_contents(contents) @ referencing.Registry()


def _schemas(version: str) -> Any:
    minor = ".".join(version.split(".")[:2])
    return files("kubernetes_validate").joinpath("kubernetes-json-schema", f"v{minor}.0-local-strict")
