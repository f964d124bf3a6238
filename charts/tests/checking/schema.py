"""The rules of a chart's values.schema.json: which there are, which of them values break, and values that break one."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import jsonschema
import yaml

from checking.charts import ENVIRONMENTS, SOURCES, VARIANTS

Document = dict[str, Any]
Path = tuple[str | int, ...]

# Keywords that can refuse a value. What stands below `if`, `not` and `anyOf` is part of that rule, not one of its own.
REFUSING = (
    "enum", "const", "pattern", "minimum", "maximum", "exclusiveMinimum", "minLength", "maxLength", "minItems",
    "minProperties", "maxItems", "uniqueItems", "required", "additionalProperties", "not", "anyOf", "oneOf", "type",
)  # fmt: skip
# Values to try where the rule itself does not say what breaks it.
TEXTS = ("", "latest", "no such thing!", "ftp://x", "http://x", "169.254.169.254/32", "x" * 300, "UPPER", "9.7")


@dataclass(frozen=True)
class Rule:
    """One keyword of the schema, by its place there, and the shortest way to a value that it judges."""

    place: Path
    where: Path
    keyword: str
    argument: Any
    context: tuple[tuple[Path, Any], ...]  # other values without which the rule does not apply
    environments: tuple[str, ...]

    @property
    def name(self) -> str:
        return "/".join(str(part) for part in self.place)


@cache
def schema(chart: str) -> Document:
    document: Document = json.loads((SOURCES / chart / "values.schema.json").read_text())
    return _named(document)


def _named(node: Any) -> Any:
    """Write properties that are `false` as `not` anything: jsonschema's error would not say which property it was."""
    if not isinstance(node, dict):
        return [_named(item) for item in node] if isinstance(node, list) else node
    result = {key: _named(value) for key, value in node.items()}
    if isinstance(node.get("properties"), dict):
        result["properties"] = {
            name: {"not": {}} if below is False else _named(below) for name, below in node["properties"].items()
        }
    return result


@cache
def base(chart: str, environment: str) -> Document:
    """Return the values of a deployment that is all right; without those of an environment where that is `none`."""
    values: Document = {}
    for name in ("values.yaml", f"values-{environment}.yaml")[: 1 if environment == "none" else 2]:
        values = merged(values, yaml.safe_load((SOURCES / chart / name).read_text()) or {})
    return merged(values, VARIANTS["required"].get(chart, {}))


def merged(below: Document, above: Document) -> Document:
    """Lay values over others as Helm does: maps merge, null deletes, the rest replaces."""
    result = dict(below)
    for key, value in above.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        elif isinstance(value, dict):
            result[key] = merged({}, value)
        else:
            result[key] = value
    return result


def broken(chart: str, environment: str, values: Document) -> set[Path]:
    """Return the places of all rules that these values break, laid over those of the environment."""
    root = schema(chart)
    errors = jsonschema.Draft202012Validator(root).iter_errors(merged(base(chart, environment), values))
    return {_place(root, error) for error in errors}


def _place(root: Document, error: jsonschema.ValidationError) -> Path:
    """Return a place with references followed, so that a rule in $defs is one rule however often it is used."""
    place: list[Any] = []
    node: Any = root
    for part in error.absolute_schema_path:
        while isinstance(node, dict) and part not in node and "$ref" in node:
            place, node = _target(root, node["$ref"])
        node = node[part]
        place.append(part)
    return tuple(place)


def _target(root: Document, reference: str) -> tuple[list[Any], Any]:
    place: list[Any] = reference.removeprefix("#/").split("/")
    node: Any = root
    for part in place:
        node = node[part]
    return place, node


def rules(chart: str) -> dict[Path, Rule]:
    """Return all rules of a chart's schema by place."""
    found: dict[Path, Rule] = {}
    for rule in _walk(schema(chart), schema(chart), _Position()):
        known = found.get(rule.place)
        if known is None or (len(rule.context), len(rule.where)) < (len(known.context), len(known.where)):
            found[rule.place] = rule
    return {
        place: rule for place, rule in found.items() if rule.where or rule.keyword != "type"
    }  # Helm always has a map


@dataclass(frozen=True)
class _Position:
    """Where a walk through a schema is: in the schema, in the values, and under which conditions."""

    place: Path = ()
    where: Path = ()
    context: tuple[tuple[Path, Any], ...] = ()
    environments: tuple[str, ...] = ENVIRONMENTS

    def below(self, *place: str | int, where: Path = ()) -> "_Position":
        return replace(self, place=(*self.place, *place), where=(*self.where, *where))

    def rule(self, keyword: str, argument: Any, *place: str) -> Rule:
        return Rule((*self.place, *place), self.where, keyword, argument, self.context, self.environments)


def _walk(root: Document, node: Any, at: _Position) -> Iterator[Rule]:
    if not isinstance(node, dict):
        return
    for keyword in REFUSING:
        if keyword in node and not (keyword == "additionalProperties" and node[keyword] is not False):
            yield at.rule(keyword, node[keyword], keyword)
    for position, below in [*_children(root, node, at), *_branches(node, at)]:
        yield from _walk(root, below, position)


def _children(root: Document, node: Document, at: _Position) -> Iterator[tuple[_Position, Any]]:
    if "$ref" in node:
        target, referred = _target(root, node["$ref"])
        yield replace(at, place=tuple(target)), referred
    for name, below in node.get("properties", {}).items():
        yield at.below("properties", name, where=(name,)), below
    for pattern, below in node.get("patternProperties", {}).items():
        name = next(text for text in ("x", "X") if re.search(pattern, text))
        yield at.below("patternProperties", pattern, where=(name,)), below
    if isinstance(node.get("additionalProperties"), dict):
        yield at.below("additionalProperties", where=("x",)), node["additionalProperties"]
    if isinstance(node.get("items"), dict):
        yield at.below("items", where=(0,)), node["items"]
    for index, below in enumerate(node.get("allOf", [])):
        yield at.below("allOf", index), below


def _branches(node: Document, at: _Position) -> Iterator[tuple[_Position, Any]]:
    for branch, holds in (("then", True), ("else", False)):
        if branch in node:
            settings, environments = _condition(node["if"], at.where, holds)
            names = tuple(name for name in at.environments if name in environments)
            yield replace(at.below(branch), context=(*at.context, *settings), environments=names), node[branch]


def _condition(condition: Document, where: Path, holds: bool) -> tuple[tuple[tuple[Path, Any], ...], tuple[str, ...]]:
    """Return the values that make a condition hold, or not, and the environments in which it does."""
    settings: list[tuple[Path, Any]] = []
    environments: tuple[str, ...] = ENVIRONMENTS
    for name, below in condition.get("properties", {}).items():
        if name == "appEnv":
            wanted = below.get("enum", [below.get("const")])
            environments = tuple(item for item in ENVIRONMENTS if (item in wanted) is holds)
        elif "properties" in below:
            settings += _condition(below, (*where, name), holds)[0]
        elif "const" in below:
            settings.append(((*where, name), below["const"] if holds else _other(below["const"])))
        elif "enum" in below:
            settings.append(((*where, name), below["enum"][0] if holds else "other"))
    return tuple(settings), environments


def _other(value: Any) -> Any:
    return not value if isinstance(value, bool) else f"{value}x"


def breaking(rule: Rule, chart: str) -> Iterator[tuple[str, Document]]:
    """Yield environments and values that may break a rule, the likeliest first."""
    if not rule.where:
        yield "none", {}
    for environment in reversed(rule.environments):
        for value in [*_candidates(rule), _emptied(rule, base(chart, environment))]:
            values: Document = {}
            for path, setting in rule.context:
                values = merged_keeping_null(values, nested(path, setting))
            yield environment, merged_keeping_null(values, nested(rule.where, value))


def _candidates(rule: Rule) -> Iterator[Any]:
    argument = rule.argument
    match rule.keyword:
        case "minimum":
            yield argument - 1
        case "maximum":
            yield argument + 1
        case "exclusiveMinimum":
            yield argument
        case "minItems":
            yield []
        case "required":
            yield from ({name: None} for name in argument)
            yield {}
        case "additionalProperties":
            yield {"unheardOf": "x"}
        case "const":
            yield _other(argument)
        case "uniqueItems":
            yield ["x", "x"]
        case "not":
            yield from [*argument.get("enum", [argument.get("const", "")]), *TEXTS]
        case "maxLength":
            yield "x" * (argument + 1)
        case "type":
            yield from ("x", 12, {"x": "x"}, ["x"])
        case _:
            yield from TEXTS


def _emptied(rule: Rule, node: Any) -> Any:
    for part in rule.where:
        node = node.get(part, {}) if isinstance(node, dict) else {}
    return dict.fromkeys(node) if isinstance(node, dict) else None


def nested(path: Path, value: Any) -> Any:
    """Return a value inside of the maps and lists that lead to it."""
    for part in reversed(path):
        value = [value] if isinstance(part, int) else {part: value}
    return value


def merged_keeping_null(below: Any, above: Any) -> Any:
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return {**below, **{key: merged_keeping_null(below.get(key), value) for key, value in above.items()}}
