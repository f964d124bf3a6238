"""The charts' files as they are: YAML without traps, locks that fit, helm's own lint, READMEs that tell the truth."""

import re
import subprocess
import sys

import pytest
import yaml
from checking import charts
from checking.charts import ENVIRONMENTS, ROOT, SOURCES, Case
from yamllint import linter
from yamllint.config import YamlLintConfig

YAMLLINT = YamlLintConfig(
    """
extends: default
rules:
  # What matters: keys given twice, which helm and kubectl pass over, tabs, and text that turns into a boolean.
  truthy: {check-keys: false}
  line-length: disable
  document-start: disable
  comments: {min-spaces-from-content: 1}
  comments-indentation: disable
  braces: {max-spaces-inside: 1}
  indentation: {indent-sequences: consistent}
"""
)
PATTERNS = (
    "charts/**/*.yaml",
    "k8s/**/*.yaml",
    "docs/examples/**/*.yaml",
    "compose.yaml",
    "skaffold.yaml",
    ".github/**/*.y*ml",
)


def sources():
    files = {path for pattern in PATTERNS for path in ROOT.glob(pattern)}
    relative = sorted(str(path.relative_to(ROOT)) for path in files)
    # Templates are no YAML yet; renders are looked at below. Golden files are written by a program.
    return [path for path in relative if not re.search(r"/templates/|/charts/[^/]+/charts/|/golden/", f"/{path}")]


@pytest.mark.parametrize("path", sources())
def test_yaml_has_no_traps(path):
    assert [str(problem) for problem in linter.run((ROOT / path).read_text(), YAMLLINT)] == []


def test_dependencies_build_from_the_lock(chart):
    assert (charts.work_folder() / f"{chart}.build").read_text() == ""


def test_the_library_is_asked_for_in_the_version_it_has(chart):
    library = yaml.safe_load((SOURCES / "service-lib" / "Chart.yaml").read_text())
    dependencies = yaml.safe_load((SOURCES / chart / "Chart.yaml").read_text()).get("dependencies", [])
    wanted = [item["version"] for item in dependencies if item["name"] == "service-lib"]
    assert wanted == [library["version"]]


def test_charts_say_which_kubernetes_they_need(chart):
    assert yaml.safe_load((SOURCES / chart / "Chart.yaml").read_text())["kubeVersion"] == ">=1.30.0-0"


def test_defines_carry_the_charts_name():
    """Named templates are global: two charts' `name` would overwrite each other where they are installed together."""
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in SOURCES.glob("*/templates/**/*")
        if path.is_file()
        for name in re.findall(r'define "([^"]+)"', path.read_text())
        if not name.startswith(f"{path.relative_to(SOURCES).parts[0]}.")
    ]
    assert wrong == []


def test_helm_lint_is_content(chart, environment):
    _, folder, *values = charts.arguments(Case(chart, environment))
    done = charts.helm("lint", "--strict", "--quiet", folder, *values)
    assert done.returncode == 0, done.stdout + done.stderr


def test_environments_hold_differences_only(chart):
    """A value repeated in an environment's file would go its own way some day."""
    base = dict(flat(yaml.safe_load((SOURCES / chart / "values.yaml").read_text())))
    repeated = [
        f"values-{environment}.yaml: {key} is {value!r} anyway"
        for environment in ENVIRONMENTS
        for key, value in flat(yaml.safe_load((SOURCES / chart / f"values-{environment}.yaml").read_text()))
        if key in base and base[key] == value
    ]
    assert repeated == []


def flat(node, path=""):
    """Yield (path, value) of all values below, lists as a whole."""
    for key, value in (node or {}).items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def test_no_environment_is_asked_for_in_templates():
    """What differs between environments stands in their values, where it can be seen and changed."""
    asking = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in SOURCES.glob("*/templates/**/*")
        if path.is_file()
        for line in path.read_text().splitlines()
        if re.search(r"\{\{-?\s*(if|else if)\b.*appEnv", line)
    ]
    assert asking == []


@pytest.mark.skipif(not (ROOT / "scripts/chart-readme").exists(), reason="there is no scripts/chart-readme")
def test_readmes_list_the_values_there_are():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/chart-readme", "--check"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
