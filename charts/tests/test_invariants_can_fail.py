"""Every invariant objects to a release broken in the one way it is there for: a check that cannot fail proves nothing."""

# ruff: noqa: E501 (a table reads best with one line for each row)

import copy

import pytest
from checking import charts, invariants
from checking.charts import Case
from checking.invariants import Release
from checking.manifests import hooks, of_kind, pods


def deployment(documents, name):
    return next(item for item in of_kind(documents, "Deployment") if item["metadata"]["name"] == name)


def pod(documents, name="auth"):
    return deployment(documents, name)["spec"]["template"]["spec"]


def container(documents, name="auth"):
    return pod(documents, name)["containers"][0]


def policy(documents, name="auth"):
    return next(item for item in of_kind(documents, "NetworkPolicy") if item["metadata"]["name"] == name)


def volume(documents, name):
    return next(item for item in pod(documents)["volumes"] if item["name"] == name)


def mount(documents, name):
    return next(item for item in container(documents)["volumeMounts"] if item["name"] == name)


def migration(documents):
    return next(item for item in of_kind(documents, "Job") if "pre-install" in hooks(item))


def one(documents, kind):
    return of_kind(documents, kind)[0]


def remove(documents, kind):
    documents[:] = [item for item in documents if item["kind"] != kind]


def variable(documents, name, value, **more):
    container(documents)["env"] = [item for item in container(documents)["env"] if item["name"] != name]
    container(documents)["env"].append(
        {"name": name, "value": value, **more} if value is not None else {"name": name, **more}
    )


def on_every_pod(documents, change):
    for item in pods(documents):
        change(item.spec)


# (invariant, what breaks it[, another release than auth in production, as plain as it is])
OPERATOR = Case("auth", "production", "operator")
EXPOSED = Case("auth", "production", "exposed")
WORKER = Case("worker", "production")
DATABASE = Case("mysql", "production")
BREAKS = [
    ("pods_are_restricted", lambda d: pod(d).update(hostNetwork=True)),
    ("pods_are_restricted", lambda d: pod(d)["securityContext"].pop("seccompProfile")),
    ("pods_are_restricted", lambda d: pod(d)["volumes"].append({"name": "host", "hostPath": {"path": "/"}})),
    ("pods_are_restricted", lambda d: container(d)["securityContext"].pop("allowPrivilegeEscalation")),
    ("pods_are_restricted", lambda d: container(d)["securityContext"].update(capabilities={"drop": ["ALL"], "add": ["NET_RAW"]})),
    ("pods_are_restricted", lambda d: container(d)["securityContext"].update(readOnlyRootFilesystem=False)),
    ("pods_are_restricted", lambda d: container(d)["securityContext"].update(privileged=True)),
    ("pods_are_restricted", lambda d: container(d)["securityContext"].update(runAsUser=0)),
    ("pods_are_restricted", lambda d: container(d)["securityContext"].update(runAsNonRoot=False)),
    ("pods_are_restricted", lambda d: container(d)["ports"][0].update(hostPort=80)),
    ("pods_are_restricted", lambda d: migration(d)["spec"]["template"]["spec"].pop("securityContext")),
    ("pods_are_restricted", lambda d: one(d, "Pod")["spec"].pop("securityContext")),
    ("no_pod_has_a_token", lambda d: pod(d).pop("automountServiceAccountToken")),
    ("no_pod_has_a_token", lambda d: pod(d).update(serviceAccountName="default")),
    ("no_pod_has_a_token", lambda d: pod(d).pop("enableServiceLinks")),
    ("no_pod_has_a_token", lambda d: one(d, "ServiceAccount").update(automountServiceAccountToken=True)),
    ("containers_have_resources", lambda d: container(d)["resources"]["limits"].pop("memory")),
    ("containers_have_resources", lambda d: container(d)["resources"]["requests"].pop("cpu")),
    ("containers_have_resources", lambda d: container(d)["resources"]["limits"].update(cpu="1")),
    ("grace_periods_add_up", lambda d: pod(d).update(terminationGracePeriodSeconds=30)),
    ("grace_periods_add_up", lambda d: pod(d, "worker").update(terminationGracePeriodSeconds=60), WORKER),
    ("grace_periods_add_up", lambda d: one(d, "StatefulSet")["spec"]["template"]["spec"].pop("terminationGracePeriodSeconds"), DATABASE),
    ("web_pods_outlive_their_endpoints", lambda d: container(d).pop("lifecycle")),
    ("web_pods_outlive_their_endpoints", lambda d: deployment(d, "auth")["spec"].update(minReadySeconds=0)),
    ("rollouts_take_no_ready_pod_away", lambda d: deployment(d, "auth")["spec"].pop("strategy")),
    ("rollouts_take_no_ready_pod_away", lambda d: deployment(d, "auth")["spec"].update(strategy={"type": "Recreate"})),
    ("probes_are_patient_and_find_their_port", lambda d: container(d)["livenessProbe"]["httpGet"].update(port="web")),
    ("probes_are_patient_and_find_their_port", lambda d: container(d, "worker")["startupProbe"]["exec"].update(command=["test", "-f", "/run/redprint/worker-ready"]), WORKER),
    ("probes_are_patient_and_find_their_port", lambda d: container(d)["livenessProbe"]["httpGet"].update(path="/readyz")),
    ("probes_are_patient_and_find_their_port", lambda d: container(d, "worker")["livenessProbe"].pop("timeoutSeconds"), WORKER),
    ("probes_are_patient_and_find_their_port", lambda d: [container(d, "worker").pop(k) for k in ("livenessProbe", "readinessProbe")], WORKER),
    ("environment_names_are_unique", lambda d: container(d)["env"].append({"name": "APP_ENV", "value": "production"})),
    ("app_env_is_the_environment", lambda d: variable(d, "APP_ENV", "staging")),
    ("app_env_is_the_environment", lambda d: deployment(d, "auth")["spec"]["template"]["metadata"]["labels"].pop("redprint.dev/app-env")),
    ("files_named_in_variables_are_mounted", lambda d: container(d).update(volumeMounts=[])),
    ("files_named_in_variables_are_mounted", lambda d: variable(d, "DB_TLS_CA", "/etc/elsewhere/ca.crt")),
    ("mysql_is_spoken_to_encrypted", lambda d: variable(d, "DB_TLS_CA", "")),
    ("volumes_and_mounts_belong_together", lambda d: pod(d)["volumes"].pop()),
    ("volumes_and_mounts_belong_together", lambda d: pod(d)["volumes"].append({"name": "unused", "emptyDir": {"sizeLimit": "1Mi"}})),
    ("volumes_and_mounts_belong_together", lambda d: pod(d)["volumes"].append(pod(d)["volumes"][0])),
    ("volumes_and_mounts_belong_together", lambda d: [v["emptyDir"].pop("sizeLimit") for v in pod(d)["volumes"] if "emptyDir" in v]),
    ("no_secret_is_in_the_manifests", lambda d: d.append({"kind": "Secret", "metadata": {"name": "x"}, "data": {}})),
    ("no_secret_is_in_the_manifests", lambda d: variable(d, "DATABASE_URL", "mysql+pymysql://auth_app:pw@mysql/auth")),
    ("no_secret_is_in_the_manifests", lambda d: variable(d, "MAIL_PASSWORD", "x")),
    ("no_secret_is_in_the_manifests", lambda d: variable(d, "MAIL", None, valueFrom={"secretKeyRef": {"name": "x", "key": "y"}})),
    ("no_secret_is_in_the_manifests", lambda d: container(d).update(envFrom=[{"secretRef": {"name": "x"}}])),
    ("no_secret_is_in_the_manifests", lambda d: variable(d, "KEY", "-----BEGIN " + "PRIVATE KEY-----")),
    ("secrets_are_the_agreed_ones", lambda d: pod(d)["volumes"].append({"name": "x", "secret": {"secretName": "unheard-of"}})),
    ("secrets_are_the_agreed_ones", lambda d: pod(d)["volumes"].append({"name": "x", "secret": {"secretName": "auth-db", "items": [{"key": "user"}]}})),
    ("secrets_are_the_agreed_ones", lambda d: pod(d)["volumes"].append({"name": "x", "secret": {"secretName": "auth-db", "optional": True}})),
    ("secrets_arrive_without_a_restart", lambda d: volume(d, "keys")["secret"].update(items=[{"key": "signing.pem", "path": "signing.pem"}])),
    ("secrets_arrive_without_a_restart", lambda d: volume(d, "keys")["secret"].pop("defaultMode")),
    ("secrets_arrive_without_a_restart", lambda d: mount(d, "keys").update(subPath="signing.pem")),
    ("images_are_pinned", lambda d: container(d).update(image="redprint/auth")),
    ("images_are_pinned", lambda d: container(d).update(image="registry:5000/redprint/auth")),
    ("images_are_pinned", lambda d: container(d).update(image="redprint/auth:latest")),
    ("images_are_pinned", lambda d: container(d).update(image="redprint/auth:9.7")),
    ("images_are_pinned", lambda d: container(d).update(imagePullPolicy="Always")),
    ("objects_are_named_and_labelled", lambda d: d.append(d[0])),
    ("objects_are_named_and_labelled", lambda d: d[0]["metadata"].update(name="x" * 64)),
    ("objects_are_named_and_labelled", lambda d: d[0]["metadata"].pop("namespace")),
    ("objects_are_named_and_labelled", lambda d: d[0]["metadata"]["labels"].pop("helm.sh/chart")),
    ("objects_are_named_and_labelled", lambda d: d[0]["metadata"]["labels"].update({"app.kubernetes.io/part-of": "other"})),
    ("objects_are_named_and_labelled", lambda d: d[0]["metadata"]["labels"].update(x=True)),
    ("objects_are_named_and_labelled", lambda d: deployment(d, "auth")["spec"]["template"]["metadata"]["annotations"].update(x=1)),
    ("selectors_never_change", lambda d: deployment(d, "auth")["spec"]["selector"]["matchLabels"].update({"helm.sh/chart": "auth-0.1.0"})),
    ("selectors_never_change", lambda d: policy(d)["spec"].update(podSelector={})),
    ("selectors_never_change", lambda d: one(d, "Service")["spec"]["selector"].update({"app.kubernetes.io/version": "1"})),
    ("selectors_select_their_own_pods", lambda d: deployment(d, "auth")["spec"]["template"]["metadata"].update(labels={})),
    ("selectors_select_their_own_pods", lambda d: deployment(d, "auth")["spec"]["selector"]["matchLabels"].pop("app.kubernetes.io/component")),
    ("services_lead_to_pods", lambda d: one(d, "Service")["spec"].update(selector={"a": "b"})),
    ("services_lead_to_pods", lambda d: one(d, "Service")["spec"]["ports"][0].update(targetPort="web")),
    ("services_lead_to_pods", lambda d: one(d, "Service")["spec"]["selector"].pop("app.kubernetes.io/component")),
    ("monitors_find_their_targets", lambda d: one(d, "ServiceMonitor")["spec"]["selector"].update(matchLabels={"a": "b"}), OPERATOR),
    ("monitors_find_their_targets", lambda d: one(d, "ServiceMonitor")["spec"]["endpoints"][0].update(port="web"), OPERATOR),
    ("monitors_find_their_targets", lambda d: one(d, "ServiceMonitor")["spec"].pop("namespaceSelector"), OPERATOR),
    ("monitors_find_their_targets", lambda d: one(d, "PodMonitor")["spec"]["podMetricsEndpoints"][0].update(port="web"), Case("worker", "staging", "operator")),
    ("metrics_are_found_one_way", lambda d: deployment(d, "auth")["spec"]["template"]["metadata"].update(annotations={"prometheus.io/scrape": "true", "prometheus.io/port": "9090"}), OPERATOR),
    ("metrics_are_found_one_way", lambda d: deployment(d, "auth")["spec"]["template"]["metadata"]["annotations"].update({"prometheus.io/port": "9999"})),
    ("metrics_are_found_one_way", lambda d: one(d, "Service")["metadata"].update(annotations={"prometheus.io/scrape": "true"})),
    ("metrics_are_found_one_way", lambda d: one(d, "Pod")["metadata"]["annotations"].update({"prometheus.io/scrape": "true"})),
    ("budgets_and_autoscalers_find_their_workload", lambda d: one(d, "PodDisruptionBudget")["spec"]["selector"].update(matchLabels={"a": "b"})),
    ("budgets_and_autoscalers_find_their_workload", lambda d: one(d, "HorizontalPodAutoscaler")["spec"].update(minReplicas=1)),
    ("budgets_and_autoscalers_find_their_workload", lambda d: one(d, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"].update(name="x")),
    ("budgets_and_autoscalers_find_their_workload", lambda d: deployment(d, "auth")["spec"].update(replicas=2)),
    ("budgets_and_autoscalers_find_their_workload", lambda d: remove(d, "HorizontalPodAutoscaler")),
    ("production_survives_a_drain", lambda d: one(d, "HorizontalPodAutoscaler")["spec"].update(minReplicas=1)),
    ("production_survives_a_drain", lambda d: remove(d, "PodDisruptionBudget")),
    ("production_survives_a_drain", lambda d: pod(d).pop("topologySpreadConstraints")),
    ("production_survives_a_drain", lambda d: deployment(d, "worker")["spec"].update(replicas=1), WORKER),
    ("routes_lead_to_services", lambda d: one(d, "Ingress")["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"].update(name="x"), EXPOSED),
    ("routes_lead_to_services", lambda d: one(d, "Ingress")["spec"].pop("tls"), EXPOSED),
    ("routes_lead_to_services", lambda d: one(d, "HTTPRoute")["spec"]["rules"][0]["backendRefs"][0].update(port=80), EXPOSED),
    ("policies_cover_every_pod", lambda d: remove(d, "NetworkPolicy")),
    ("policies_cover_every_pod", lambda d: d.remove(policy(d, "auth-migrate"))),
    ("policies_cover_every_pod", lambda d: policy(d)["spec"].update(policyTypes=["Ingress"])),
    ("policies_cover_every_pod", lambda d: policy(d)["spec"]["ingress"].append({"ports": [{"port": 8080}]})),
    ("policies_cover_every_pod", lambda d: policy(d)["spec"]["egress"].append({"to": [{"podSelector": {"matchLabels": {"a": "b"}}}]})),
    ("policies_cover_every_pod", lambda d: policy(d)["spec"]["ingress"].append({"from": [{"podSelector": {}}], "ports": [{"port": 8080}]})),
    ("policies_cover_every_pod", lambda d: policy(d)["spec"].update(podSelector={"matchLabels": {"a": "b"}})),
    ("references_stay_within_the_release", lambda d: remove(d, "ServiceAccount")),
    ("references_stay_within_the_release", lambda d: remove(d, "ConfigMap")),
    ("references_stay_within_the_release", lambda d: one(d, "StatefulSet")["spec"].update(serviceName="mysql"), DATABASE),
    ("hooks_stand_alone", lambda d: migration(d)["metadata"]["annotations"].update({"helm.sh/hook": "pre-install"})),
    ("hooks_stand_alone", lambda d: migration(d)["metadata"]["annotations"].pop("helm.sh/hook-delete-policy")),
    ("hooks_stand_alone", lambda d: migration(d)["metadata"]["annotations"].pop("helm.sh/hook-weight")),
    ("hooks_stand_alone", lambda d: migration(d)["spec"]["template"]["spec"].update(serviceAccountName="auth")),
    ("hooks_stand_alone", lambda d: migration(d)["metadata"]["annotations"].update({"helm.sh/hook-weight": "-10"})),
    ("hooks_stand_alone", lambda d: migration(d)["spec"].pop("activeDeadlineSeconds")),
    ("hooks_stand_alone", lambda d: migration(d)["spec"]["template"]["spec"].update(restartPolicy="OnFailure")),
    ("hooks_stand_alone", lambda d: pod(d).update(serviceAccountName="auth-migrate")),
]  # fmt: skip


@pytest.mark.parametrize("breakage", BREAKS, ids=lambda breakage: breakage[0])
def test_objects_to(breakage):
    name, damage, *elsewhere = breakage
    case = elsewhere[0] if elsewhere else Case("auth", "production")
    invariant = getattr(invariants, name)
    documents = list(copy.deepcopy(charts.documents(case)))
    before = set(invariant(Release(case.chart, case.environment, tuple(documents))))
    damage(documents)
    after = set(invariant(Release(case.chart, case.environment, tuple(documents))))
    assert after - before, f"{name} has nothing to say about it"


def test_every_invariant_is_tried():
    assert {item.__name__ for item in invariants.ALL} == {name for name, *_ in BREAKS}
