"""Renders are the same every time, and what Kubernetes accepts, oldest and newest."""

import json

import pytest
import yaml
from checking import charts, kubernetes
from checking.charts import KUBERNETES, Case
from checking.invariants import environment_of
from checking.manifests import pods


# Those with the most in them; the others differ in values only.
@pytest.mark.parametrize("variant", ["plain", "operator"])
def test_the_same_values_render_the_same(chart, environment, variant):
    case = Case(chart, environment, variant)
    assert charts.render(case).stdout == charts.text(case)


def test_a_key_that_is_rendered_twice_is_not_passed_over():
    with pytest.raises(yaml.YAMLError, match="twice: name"):
        charts.load("metadata: {name: a, name: b}")


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_accepts_what_is_rendered(chart, version):
    # Most objects are the same in most variants; each is looked at once.
    different = {
        json.dumps(document, sort_keys=True): document
        for case in charts.cases_of(chart)
        for document in charts.documents(case)
    }
    assert different
    wrong = {problem for document in different.values() for problem in kubernetes.problems(document, version)}
    assert not wrong, "\n".join(sorted(wrong))


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_accepts_the_overlays(environment, version):
    wrong = [problem for document in charts.overlay(environment) for problem in kubernetes.problems(document, version)]
    assert wrong == []


def test_an_upgrade_renders_what_an_install_does(chart, environment):
    """So that deploying again with the same values restarts nothing."""
    assert charts.text(Case(chart, environment, "upgrade")) == charts.text(Case(chart, environment))


def test_the_version_of_kubernetes_changes_nothing(chart, environment):
    assert charts.text(Case(chart, environment, "oldest")) == charts.text(Case(chart, environment, "newest"))


def test_misspelt_and_unknown_things_are_refused():
    """The validation itself: what it has to object to, and what it has to let pass."""
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "x"},
        "spec": {"selector": {}, "template": {"metadata": {}, "spec": {"containers": [{"name": "x"}]}}},
    }
    assert kubernetes.problems(deployment, "1.30.0") == []
    spec = deployment["spec"]
    assert kubernetes.problems({**deployment, "spec": {**spec, "replica": 2}}, "1.30.0")
    assert kubernetes.problems({**deployment, "spec": {**spec, "replicas": "two"}}, "1.37.0")
    assert kubernetes.problems({**deployment, "apiVersion": "extensions/v1beta1"}, "1.37.0")
    assert kubernetes.problems({"apiVersion": "example.com/v1", "kind": "Thing"}, "1.37.0")


def test_custom_resources_need_what_gives_them_a_meaning():
    monitor = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "endpoints": [{"port": "metrics"}]},
    }
    assert kubernetes.problems(monitor, "1.30.0") == []
    spec = monitor["spec"]
    assert kubernetes.problems({**monitor, "spec": {**spec, "endpoints": []}}, "1.30.0")
    assert kubernetes.problems({**monitor, "spec": {**spec, "endpoints": [{"path": "/"}]}}, "1.30.0")
    assert kubernetes.problems({**monitor, "spec": {**spec, "endpoint": []}}, "1.30.0")
    assert kubernetes.problems({**monitor, "spec": {**spec, "selector": {}}}, "1.30.0")


@pytest.mark.parametrize(
    ("release", "section", "variable"),
    [("auth", "state", "STATE_URL"), ("api", "state", "STATE_URL"), ("worker", "broker", "BROKER_URL")],
)
def test_a_valkey_elsewhere_is_named_with_its_port_and_tls_and_without_its_password(release, section, variable):
    values = json.dumps({"host": "cache.example.com", "port": 6380, "db": 2, "user": "u", "tls": {"enabled": True}})
    done = charts.render(Case(release, "production"), "--set-json", f"{section}={values}")
    assert done.returncode == 0, done.stderr
    found = {
        environment_of(container).get(variable)
        for pod in pods(charts.load(done.stdout))
        for container in pod.containers()
    }
    assert found - {None} == {
        f"rediss://u@cache.example.com:6380/2?password_file=/etc/redprint/secrets/{section}/password"
    }
