"""k8s/: what every namespace holds, and that the charts fit into it."""

import subprocess

import pytest
import yaml
from checking import charts
from checking.charts import CHARTS, ENVIRONMENTS, ROOT, Case
from checking.manifests import WORKLOADS, of_kind, pods

UNITS = {"": 1, "m": 0.001, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def quantity(text):
    number = str(text).rstrip("KMGTkim")
    return float(number) * UNITS[str(text).removeprefix(number)]


def only(documents, kind):
    (found,) = of_kind(documents, kind)
    return found


def test_the_namespace_enforces_restricted_pods(environment):
    namespace = only(charts.overlay(environment), "Namespace")
    labels = namespace["metadata"]["labels"]
    assert namespace["metadata"]["name"] == f"redprint-{environment}"
    assert labels["redprint.dev/app-env"] == environment
    for mode in ("enforce", "warn", "audit"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
        assert labels[f"pod-security.kubernetes.io/{mode}-version"] == "v1.30"


def test_everything_is_in_the_namespace(environment):
    stray = [
        item["kind"]
        for item in charts.overlay(environment)
        if item["kind"] != "Namespace" and item["metadata"]["namespace"] != f"redprint-{environment}"
    ]
    assert stray == []


@pytest.mark.parametrize("folder", ["k8s/overlays/staging", "k8s/overlays/development"])
def test_an_overlay_can_be_put_into_another_namespace(folder, tmp_path_factory):
    """The Namespace itself is renamed too: that is what end-to-end runs and previews live on."""
    place = tmp_path_factory.mktemp("retarget")
    relative = subprocess.run(
        ["realpath", f"--relative-to={place.resolve()}", ROOT / folder, ROOT / "k8s/deployer"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    content = {"namespace": "preview-7", "resources": [relative[0]], "components": [relative[1]]}
    (place / "kustomization.yaml").write_text(yaml.safe_dump(content))
    done = subprocess.run(["kubectl", "kustomize", place], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    documents = charts.load(done.stdout)
    assert only(documents, "Namespace")["metadata"]["name"] == "preview-7"
    assert {item["metadata"].get("namespace") for item in documents if item["kind"] != "Namespace"} == {"preview-7"}
    assert only(documents, "RoleBinding")["subjects"][0]["namespace"] == "preview-7"


def test_nothing_is_allowed_by_default(environment):
    policies = of_kind(charts.overlay(environment), "NetworkPolicy")
    (everything,) = [item for item in policies if item["metadata"]["name"] == "default-deny"]
    assert everything["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert [item["metadata"]["name"] for item in policies if item["spec"].get("ingress")] == []


def asked_for(environment):
    """Add up what all releases may ask for at once: autoscalers at their maximum, a surge pod each, hooks, tests."""
    total = {"pods": 0, "requests.cpu": 0.0, "requests.memory": 0.0, "limits.memory": 0.0}
    for chart in CHARTS:
        documents = charts.documents(Case(chart, environment))
        scalers = [item["spec"] for item in of_kind(documents, "HorizontalPodAutoscaler")]
        most = {spec["scaleTargetRef"]["name"]: spec["maxReplicas"] for spec in scalers}
        for pod in pods(documents):
            count = 1
            if pod.owner["kind"] in WORKLOADS:
                count = most.get(pod.owner["metadata"]["name"], pod.owner["spec"].get("replicas", 1))
                count += pod.owner["kind"] == "Deployment"
            total["pods"] += count
            for kind, name in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory")):
                each = sum(quantity(item["resources"][kind][name]) for item in pod.running())
                start = [
                    quantity(item["resources"][kind][name]) for item in pod.containers() if item not in pod.running()
                ]
                total[f"{kind}.{name}"] += count * max([each, *start])
    return total


def test_the_quota_leaves_room_for_rollouts_and_hooks(environment):
    hard = only(charts.overlay(environment), "ResourceQuota")["spec"]["hard"]
    short = {
        name: (value, hard[name]) for name, value in asked_for(environment).items() if value > quantity(hard[name])
    }
    assert short == {}


def test_staging_fits_two_cpus():
    assert asked_for("staging")["requests.cpu"] <= 2.0


def test_no_container_or_volume_exceeds_the_limit_range(environment):
    limits = {item["type"]: item for item in only(charts.overlay(environment), "LimitRange")["spec"]["limits"]}
    hard = only(charts.overlay(environment), "ResourceQuota")["spec"]["hard"]
    stored = 0.0
    for chart in CHARTS:
        documents = charts.documents(Case(chart, environment))
        for pod in pods(documents):
            for container in pod.containers():
                asked = quantity(container["resources"]["limits"]["memory"])
                assert asked <= quantity(limits["Container"]["max"]["memory"]), f"{pod.name}: {container['name']}"
        for item in of_kind(documents, "StatefulSet"):
            for claim in item["spec"]["volumeClaimTemplates"]:
                asked = quantity(claim["spec"]["resources"]["requests"]["storage"])
                assert asked <= quantity(limits["PersistentVolumeClaim"]["max"]["storage"]), item["metadata"]["name"]
                stored += asked
    assert stored <= quantity(hard["requests.storage"])


def test_the_deployer_may_do_what_the_charts_contain():
    """Helm 4 lists and watches what it applies; a kind that the Role lacks fails in the middle of a deployment."""
    role = only(charts.load((ROOT / "k8s/deployer/role.yaml").read_text()), "Role")
    needed = {
        (item["apiVersion"].rpartition("/")[0], plural(item["kind"]))
        for case in charts.cases()
        for item in charts.documents(case)
    }
    allowed = {
        (group, resource)
        for rule in role["rules"]
        if {"get", "list", "watch", "create", "update", "patch", "delete"} <= set(rule["verbs"])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert needed <= allowed
    assert all("*" not in (*rule["verbs"], *rule["resources"], *rule["apiGroups"]) for rule in role["rules"])


def plural(kind):
    lower = kind.lower()
    return f"{lower[:-1]}ies" if lower.endswith("y") else f"{lower}es" if lower.endswith("s") else f"{lower}s"


def test_priority_classes_that_charts_name_exist():
    done = subprocess.run(["kubectl", "kustomize", ROOT / "k8s/cluster"], capture_output=True, text=True, check=True)
    there = {item["metadata"]["name"] for item in charts.load(done.stdout)} | {""}
    named = {
        pod.spec.get("priorityClassName", "")
        for chart in CHARTS
        for environment in ENVIRONMENTS
        for pod in pods(charts.documents(Case(chart, environment)))
    }
    assert named <= there
