"""Files that other programs read: compose.yaml, skaffold.yaml, the sample workflow; against schemas and each other."""

import json
import re
from importlib.resources import files

import jsonschema
import pytest
import yaml
from checking.charts import ROOT, SOURCES

compose = pytest.fixture(scope="module")(lambda: yaml.safe_load((ROOT / "compose.yaml").read_text()))


def vendored(name):
    """Return a schema that check-jsonschema ships, so that nothing is fetched."""
    return json.loads((files("check_jsonschema") / "builtin_schemas" / "vendor" / f"{name}.json").read_text())


def errors(document, schema):
    validator = jsonschema.validators.validator_for(schema)(schema)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


# ---- compose.yaml


def test_compose_file_fits_the_specification(compose):
    assert errors(compose, vendored("compose-spec")) == []
    assert errors({**compose, "services": {"x": {"depend_on": []}}}, vendored("compose-spec"))


def test_compose_publishes_nothing_beyond_this_machine(compose):
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert sorted(ports) == ["127.0.0.1:8001:8080", "127.0.0.1:8002:8080", "127.0.0.1:8025:8025"]


def test_compose_holds_no_password(compose):
    text = (ROOT / "compose.yaml").read_text()
    assert not re.search(r"://[^/\s:@]+:[^/\s@]+@", text)
    for name, service in compose["services"].items():
        wrong = [key for key in service.get("environment", {}) if key.endswith(("PASSWORD", "SECRET", "TOKEN"))]
        assert wrong == [], name


def test_compose_services_run_with_little(compose):
    for name, service in compose["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["read_only"] is True, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        assert not service["image"].endswith(":latest"), name


def test_compose_waits_for_health_where_there_is_one(compose):
    for name, service in compose["services"].items():
        for other, condition in service.get("depends_on", {}).items():
            once = other == "keys" or other.endswith("-migrate")
            expected = "service_completed_successfully" if once else "service_healthy"
            assert condition["condition"] == expected, f"{name} -> {other}"
            assert once or "healthcheck" in compose["services"][other], other
    lasting = [name for name in compose["services"] if name != "keys" and not name.endswith("-migrate")]
    assert [name for name in lasting if "healthcheck" not in compose["services"][name]] == []


def test_compose_names_only_what_is_there(compose):
    volumes = {
        volume.partition(":")[0] for service in compose["services"].values() for volume in service.get("volumes", [])
    }
    assert volumes == set(compose["volumes"])
    for name, service in compose["services"].items():
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).is_file(), name
        mounts = [volume.split(":")[1] for volume in service.get("volumes", [])]
        for value in service.get("environment", {}).values():
            for path in re.findall(r"(/run/[^\s&]+)", str(value)):
                assert any(path.startswith(mount) for mount in mounts), f"{name}: {path}"


def test_compose_is_development_with_the_versions_of_the_charts(compose):
    services = compose["services"]
    for name in ("keys", "auth-migrate", "api-migrate", "auth", "api", "worker", "dispatcher"):
        assert services[name]["environment"]["APP_ENV"] == "development", name
    for name in ("mysql", "valkey"):
        image = yaml.safe_load((SOURCES / name / "values.yaml").read_text())["image"]
        assert services[name]["image"] == f"{image['repository']}:{image['tag']}"


# ---- skaffold.yaml


@pytest.mark.skipif(not (ROOT / "skaffold.yaml").exists(), reason="there is no skaffold.yaml")
def test_skaffold_names_only_what_is_there():
    (document,) = [item for item in yaml.safe_load_all((ROOT / "skaffold.yaml").read_text()) if item]
    assert document["apiVersion"] == "skaffold/v4beta14"
    assert document["kind"] == "Config"
    known = "metadata build test manifests deploy portForward profiles verify customActions requires resourceSelector"
    assert set(document) <= {"apiVersion", "kind", *known.split()}
    artifacts = {item["image"] for item in document["build"]["artifacts"]}
    for item in document["build"]["artifacts"]:
        assert (ROOT / item.get("context", ".") / item["docker"]["dockerfile"]).is_file(), item["image"]
    assert artifacts == {"redprint/auth", "redprint/api", "redprint/worker"}
    # The renderer path would apply hooks as ordinary objects: releases belong to deploy.
    assert "helm" not in document.get("manifests", {})
    releases = {item["name"]: item for item in document["deploy"]["helm"]["releases"]}
    assert set(releases) == {"mysql", "valkey", "auth", "api", "worker"}
    for name, release in releases.items():
        assert (ROOT / release["chartPath"] / "Chart.yaml").is_file(), name
        for file in release.get("valuesFiles", []):
            assert (ROOT / file).is_file(), file
        assert set(release.get("dependsOn", [])) <= set(releases), name
    before = {name: set(release.get("dependsOn", [])) for name, release in releases.items()}
    for name in ("auth", "api", "worker"):
        assert "mysql" in before[name].union(*(before[other] for other in before[name])), name


# ---- the sample workflow

WORKFLOW = ROOT / "docs/examples/ci-workflow.yaml"


def test_workflow_fits_its_schema():
    workflow = yaml.safe_load(WORKFLOW.read_text())
    workflow["on"] = workflow.pop(True)  # YAML 1.1, as PyYAML reads it, has `on` for true; the runner's does not
    assert errors(workflow, vendored("github-workflows")) == []


def test_workflow_calls_make_targets_that_exist():
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    called = {name for command in commands for name in re.findall(r"\bmake ([a-z0-9-]+)", command)}
    assert {"test", "lint", "charts-check"} <= called
    assert called <= targets


def test_workflow_uses_actions_by_version():
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    uses = [step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step]
    assert uses
    assert [name for name in uses if not re.search(r"@(v\d+|[0-9a-f]{40})", name)] == []
