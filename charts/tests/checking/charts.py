"""Charts in a copy of their own, rendered with helm; each combination once for all tests.

Nothing is built in the checkout itself: a `helm dependency build` there would race with a deployment of the same files.
"""

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
SOURCES = ROOT / "charts"
TESTS = SOURCES / "tests"
ENVIRONMENTS = ("development", "staging", "production")
WORKDIR = "CHARTS_CHECK_WORKDIR"
Document = dict[str, Any]
# Oldest supported, as Chart.yaml's kubeVersion says, and the newest whose schemas are known.
KUBERNETES = ("1.30.0", "1.37.0")


def _chart_names() -> tuple[str, ...]:
    """All application charts, in the order of deployment."""
    order = ["mysql", "valkey", "auth", "api", "worker"]
    found = [path.parent.name for path in SOURCES.glob("*/Chart.yaml") if _metadata(path)["type"] == "application"]
    return tuple(sorted(found, key=lambda name: (order.index(name) if name in order else len(order), name)))


def _metadata(path: Path) -> Document:
    document: Document = yaml.safe_load(path.read_text())
    return document


CHARTS = _chart_names()
VARIANTS: dict[str, Any] = yaml.safe_load((TESTS / "variants.yaml").read_text())


@dataclass(frozen=True)
class Case:
    """One chart for one environment, in one variant of variants.yaml."""

    chart: str
    environment: str
    variant: str = "plain"

    @property
    def namespace(self) -> str:
        return f"redprint-{self.environment}"

    def __str__(self) -> str:
        return f"{self.chart}-{self.environment}-{self.variant}"


def cases() -> list[Case]:
    """Return every chart in every environment and every variant that says something about it."""
    return [
        Case(chart, environment, variant)
        for variant in VARIANTS
        if variant != "required"
        for chart in CHARTS
        for environment in ENVIRONMENTS
        if variant == "plain"
        or values_of(Case(chart, environment, variant))
        or {"all", "flags"} & VARIANTS[variant].keys()
    ]


@cache
def cases_of(chart: str) -> list[Case]:
    """Return the cases of a chart that differ in what they render: looking at the same twice finds nothing new."""
    different: dict[tuple[str, str], Case] = {}
    for case in cases():
        if case.chart == chart:
            different.setdefault((case.environment, text(case)), case)
    return list(different.values())


def values_of(case: Case) -> Document:
    """Return what a variant adds to the values of its chart: of `all` what the chart has values for."""
    variant = VARIANTS[case.variant]
    known = _metadata(SOURCES / case.chart / "values.yaml")
    shared = {name: value for name, value in variant.get("all", {}).items() if name in known}
    return _merged(shared, variant.get(case.chart, {}))


def _merged(base: Document, over: Document) -> Document:
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _merged(result[key], value) if both else value
    return result


def work_folder() -> Path:
    """Return the folder with the copy of the charts, which the first process has made."""
    return Path(os.environ[WORKDIR])


def prepare(folder: Path) -> None:
    """Copy the charts, build their dependencies and render all cases, on all cores."""
    os.environ[WORKDIR] = str(folder)
    shutil.copytree(
        SOURCES, folder / "charts", ignore=lambda path, names: ["charts"] if Path(path).parent == SOURCES else []
    )
    renders = folder / "renders"
    renders.mkdir()
    (folder / "values").mkdir()
    for chart in CHARTS:
        (folder / "values" / f"{chart}.yaml").write_text(yaml.safe_dump(VARIANTS["required"].get(chart, {})))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(_build, CHARTS))
        list(pool.map(_render, cases()))


def _build(chart: str) -> None:
    done = helm("dependency", "build", str(work_folder() / "charts" / chart))
    (work_folder() / f"{chart}.build").write_text(done.stderr if done.returncode else "")


def _render(case: Case) -> None:
    done = render(case)
    (work_folder() / "renders" / f"{case}.yaml").write_text(done.stdout)
    (work_folder() / "renders" / f"{case}.error").write_text(done.stderr if done.returncode else "")


def render(case: Case, *more: str) -> subprocess.CompletedProcess[str]:
    """Run `helm template` as a deployment would read the values: the chart's, the environment's, then the variant's."""
    values = work_folder() / "values" / f"{case}.json"
    values.write_text(json.dumps(values_of(case)))
    return helm("template", *arguments(case), "--values", str(values), *VARIANTS[case.variant].get("flags", []), *more)


def arguments(case: Case) -> list[str]:
    """Return name, chart and values files of a release, without its variant; environment `none` has no file."""
    chart = work_folder() / "charts" / case.chart
    files = [chart / f"values-{case.environment}.yaml"] if case.environment != "none" else []
    files.append(work_folder() / "values" / f"{case.chart}.yaml")
    values = [argument for file in files for argument in ("--values", str(file))]
    return [case.chart, str(chart), "--namespace", case.namespace, *values]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm without the settings and repositories of whoever calls."""
    home = str(work_folder() / "helm")
    environment = {**os.environ, "HELM_CACHE_HOME": home, "HELM_CONFIG_HOME": home, "HELM_DATA_HOME": home}
    return subprocess.run(["helm", *arguments], capture_output=True, text=True, check=False, env=environment)


def text(case: Case) -> str:
    """Return the rendered manifests; fails with helm's message where it refused."""
    folder = work_folder() / "renders"
    error = (folder / f"{case}.error").read_text()
    assert not error, f"helm template {case}: {error}"
    return (folder / f"{case}.yaml").read_text()


@cache
def documents(case: Case) -> tuple[Document, ...]:
    """Return the rendered objects. Treat them as read-only: they are shared by all tests.

    Parsing YAML takes longer than everything else here, so whoever is first leaves JSON for the other processes.
    """
    parsed = work_folder() / "renders" / f"{case}.json"
    if not parsed.exists():
        partial = parsed.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(load(text(case))))
        partial.rename(parsed)
    return tuple(json.loads(parsed.read_text()))


@cache
def overlay(environment: str) -> tuple[Document, ...]:
    """Return the objects of k8s/ for an environment."""
    done = subprocess.run(
        ["kubectl", "kustomize", str(ROOT / "k8s/overlays" / environment)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return tuple(load(done.stdout))


def load(manifests: str) -> list[Document]:
    """Parse a stream of YAML documents, without the empty ones."""
    return [document for document in yaml.load_all(manifests, Loader=_Loader) if document]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # ten times faster with libyaml
    """Refuses a key given twice, which helm, kubectl and PyYAML itself pass over without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Document:
        keys = [key.value for key, _ in node.value]
        if len(keys) != len(set(keys)):
            twice = sorted({key for key in keys if keys.count(key) > 1})
            raise yaml.constructor.ConstructorError(None, None, f"twice: {', '.join(twice)}", node.start_mark)
        mapping: Document = super().construct_mapping(node, deep)
        return mapping
