"""What has to be true of every rendered release. Each function takes a `Release` and says what is wrong.

Functions and not tests, so that test_invariants_can_fail.py can hand them a broken release and see them object.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from checking.manifests import CLUSTER_SCOPED, WORKLOADS, Document, Pod, hooks, matches, name_of, of_kind, pods, texts

SERVICES = ("auth", "api", "worker")
STANDARD_LABELS = (
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/part-of",
    "app.kubernetes.io/version",
    "app.kubernetes.io/managed-by",
    "helm.sh/chart",
)
SELECTOR_LABELS = {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"}
# Made by scripts/make-secrets or a secret manager, with the keys that charts may name.
SECRETS = {
    **{name: {"password"} for name in ("mysql-root", "mysql-probe", "mysql-backup")},
    **{name: {"password"} for name in ("auth-db", "auth-db-ddl", "api-db", "api-db-ddl")},
    **{name: {"password"} for name in ("worker-db-api", "worker-db-auth", "valkey-broker", "valkey-state")},
    "mysql-exporter": {"password", "my.cnf"},
    "mysql-tls": {"ca.crt", "tls.crt", "tls.key"},
    "mysql-ca": {"ca.crt"},
    "auth-keys": {"signing.pem", "refresh-1.key"},
}
VOLUMES = {"emptyDir", "configMap", "secret", "persistentVolumeClaim", "projected", "downwardAPI"}
MYSQL_UID = 999  # of the official image, whose files belong to it
LOWEST_UID = 10_000
WEB_MARGIN_SECONDS = 15  # between the last request's deadline and the kill, for the process to end
STALL_SECONDS = 32 + 13  # a worker's connection to a dead broker holds its exit up that long, measured, and a margin
DATABASE_GRACE_SECONDS = 300
GROUP_READS = 0o440


@dataclass(frozen=True)
class Release:
    """The objects of one release as rendered, hooks and tests included."""

    chart: str
    environment: str
    documents: tuple[Document, ...]

    @property
    def namespace(self) -> str:
        return f"redprint-{self.environment}"

    def pods(self) -> list[Pod]:
        return pods(self.documents)

    def find(self, kind: str, name: str) -> Document | None:
        return next((item for item in of_kind(self.documents, kind) if item["metadata"]["name"] == name), None)

    def lasting_pods(self) -> list[Pod]:
        """Return the pods of workloads: no hooks, no tests."""
        return [pod for pod in self.pods() if pod.owner["kind"] in WORKLOADS]


Invariant = Callable[[Release], Iterable[str]]
ALL: list[Invariant] = []


def invariant(function: Invariant) -> Invariant:
    ALL.append(function)
    return function


# ---- pods


@invariant
def pods_are_restricted(release: Release) -> list[str]:
    """What the restricted pod security standard asks for, and beyond it a read-only root and a user of our own."""
    return [f"{pod.name}: {problem}" for pod in release.pods() for problem in _pod_security(pod)]


def _pod_security(pod: Pod) -> Iterator[str]:
    yield from [f"{field} is set" for field in ("hostNetwork", "hostPID", "hostIPC") if pod.spec.get(field)]
    context = pod.spec.get("securityContext") or {}
    if (context.get("seccompProfile") or {}).get("type") != "RuntimeDefault":
        yield "seccompProfile is not RuntimeDefault"
    for volume in pod.spec.get("volumes", []):
        yield from [f"volume {volume['name']} is a {kind}" for kind in set(volume) - {"name"} - VOLUMES]
    for container in pod.containers():
        yield from [f"{container['name']}: {problem}" for problem in _container_security(container, context)]


def _container_security(container: Document, pod_context: Document) -> Iterator[str]:
    own = container.get("securityContext") or {}
    context = {**pod_context, **own}
    if context.get("runAsNonRoot") is not True:
        yield "runAsNonRoot is not true"
    uid = context.get("runAsUser")
    if not isinstance(uid, int) or (uid < LOWEST_UID and uid != MYSQL_UID):
        yield f"runAsUser is {uid}"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if own.get("privileged"):
        yield "is privileged"
    if (own.get("capabilities") or {}) != {"drop": ["ALL"]}:
        yield "capabilities are not just drop ALL"
    if own.get("readOnlyRootFilesystem") is not True:
        yield "the root file system is writable"
    yield from [f"hostPort {port['hostPort']}" for port in container.get("ports", []) if "hostPort" in port]


@invariant
def no_pod_has_a_token(release: Release) -> Iterator[str]:
    """Nothing here talks to the API server. The account is the pod's own, so that rights given to it stay its own."""
    for pod in release.pods():
        account = pod.spec.get("serviceAccountName", "default")
        if pod.spec.get("automountServiceAccountToken") is not False:
            yield f"{pod.name}: a token is mounted"
        if account == "default":
            yield f"{pod.name}: runs as the default account"
        if pod.spec.get("enableServiceLinks") is not False:
            yield f"{pod.name}: gets the addresses of all Services as variables"
    accounts = of_kind(release.documents, "ServiceAccount")
    yield from [
        f"{name_of(item)}: mounts a token" for item in accounts if item.get("automountServiceAccountToken") is not False
    ]


@invariant
def containers_have_resources(release: Release) -> Iterator[str]:
    """Requests for CPU and memory, a limit for memory: the quota refuses a pod without."""
    for pod in release.pods():
        for container in pod.containers():
            resources = container.get("resources") or {}
            for kind, name in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory")):
                if name not in (resources.get(kind) or {}):
                    yield f"{pod.name}: {container['name']} has no {kind}.{name}"
            if "cpu" in (resources.get("limits") or {}):
                yield f"{pod.name}: {container['name']} has a CPU limit, which throttles it on an idle node"


@invariant
def grace_periods_add_up(release: Release) -> Iterator[str]:
    """Nobody is killed who was promised time: the longest way to stop fits into terminationGracePeriodSeconds."""
    for pod in release.lasting_pods():
        needed = _stop_seconds(release, pod)
        grace = pod.spec.get("terminationGracePeriodSeconds", 30)
        if grace < needed:
            yield f"{pod.name}: {grace} s of grace, {needed} s needed"


def _stop_seconds(release: Release, pod: Pod) -> int:
    if pod.labels.get("app.kubernetes.io/name") == "mysql" and pod.owner["kind"] == "StatefulSet":
        return DATABASE_GRACE_SECONDS
    longest = 0
    for container in pod.running():
        variables = environment_of(container)
        sleep = (((container.get("lifecycle") or {}).get("preStop") or {}).get("sleep") or {}).get("seconds", 0)
        if release.chart in ("auth", "api"):
            longest = max(longest, sleep + int(variables.get("GRACEFUL_TIMEOUT_SECONDS", 25)) + WEB_MARGIN_SECONDS)
        elif pod.labels.get("app.kubernetes.io/component") == "worker" and release.chart == "worker":
            default = 3 if release.environment == "development" else 30
            window = float(variables.get("WORKER_SOFT_SHUTDOWN_SECONDS", default))
            longest = max(longest, int(sleep + window + STALL_SECONDS))
    return longest


@invariant
def web_pods_outlive_their_endpoints(release: Release) -> Iterator[str]:
    """Outside development a pod serves on while load balancers forget it, and a rollout waits for its successor."""
    if release.environment == "development" or release.chart not in ("auth", "api"):
        return
    for pod in release.lasting_pods():
        sleeps = [((item.get("lifecycle") or {}).get("preStop") or {}).get("sleep") for item in pod.spec["containers"]]
        if not any(sleep and sleep["seconds"] >= 5 for sleep in sleeps):
            yield f"{pod.name}: no preStop sleep"
        if pod.owner["spec"].get("minReadySeconds", 0) < 5:
            yield f"{pod.name}: a pod counts as available the moment it is ready"


@invariant
def rollouts_take_no_ready_pod_away(release: Release) -> Iterator[str]:
    for item in of_kind(release.documents, "Deployment"):
        strategy = item["spec"].get("strategy") or {}
        unavailable = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", "25%")
        alone = item["spec"].get("replicas") == 1  # 25 % of one pod is none
        if strategy.get("type") == "Recreate" and release.chart in SERVICES:
            yield f"{name_of(item)}: Recreate leaves nobody to serve"
        if unavailable != 0 and not (alone and unavailable == "25%"):
            yield f"{name_of(item)}: maxUnavailable is not 0"


@invariant
def probes_are_patient_and_find_their_port(release: Release) -> Iterator[str]:
    for pod in release.lasting_pods():
        if not any("readinessProbe" in item or "livenessProbe" in item for item in pod.running()):
            yield f"{pod.name}: nothing is probed"
        for container in pod.running():
            ports = {port["name"] for port in container.get("ports", []) if "name" in port}
            numbers = {port["containerPort"] for port in container.get("ports", [])}
            for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                probe = container.get(kind) or {}
                if "exec" in probe and probe.get("timeoutSeconds", 1) < 3:
                    yield f"{pod.name}: {container['name']}.{kind} gives a program less than 3 s"
                port = (probe.get("httpGet") or probe.get("tcpSocket") or {}).get("port")
                if port is not None and port not in ports | numbers:
                    yield f"{pod.name}: {container['name']}.{kind} asks port {port}, which is not declared"
                ends_it = kind != "readinessProbe"
                if ends_it and any("worker-ready" in part for part in (probe.get("exec") or {}).get("command", [])):
                    yield f"{pod.name}: {container['name']}.{kind} lets an absent broker restart the pod"
        if release.chart in ("auth", "api"):
            paths = {
                kind: (probe.get("httpGet") or {}).get("path")
                for item in pod.spec["containers"]
                for kind, probe in item.items()
                if kind in ("startupProbe", "livenessProbe", "readinessProbe")
            }
            if paths != {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}:
                yield f"{pod.name}: probes ask {paths}; the database may decide readiness and nothing else"


# ---- environment and files


def environment_of(container: Document) -> dict[str, str]:
    return {item["name"]: item.get("value", "") for item in container.get("env", [])}


@invariant
def environment_names_are_unique(release: Release) -> Iterator[str]:
    """Server-side apply refuses a list with a name twice."""
    for pod in release.pods():
        for container in pod.containers():
            names = [item["name"] for item in container.get("env", [])]
            twice = sorted({name for name in names if names.count(name) > 1})
            yield from [f"{pod.name}: {container['name']} sets {name} twice" for name in twice]


@invariant
def app_env_is_the_environment(release: Release) -> Iterator[str]:
    for pod in release.pods():
        label = pod.labels.get("redprint.dev/app-env")
        if label != release.environment:
            yield f"{pod.name}: label redprint.dev/app-env is {label}"
        if release.chart not in SERVICES:
            continue
        for container in pod.containers():
            value = environment_of(container).get("APP_ENV")
            if value != release.environment:
                yield f"{pod.name}: {container['name']} has APP_ENV {value}"


@invariant
def files_named_in_variables_are_mounted(release: Release) -> Iterator[str]:
    """A password file, a CA or a folder that a variable names lies below one of the container's mounts."""
    for pod in release.pods():
        for container in pod.containers():
            mounts = [mount["mountPath"].rstrip("/") for mount in container.get("volumeMounts", [])]
            for name, value in environment_of(container).items():
                for path in re.findall(r"(?:^|=)(/(?:etc|run|tmp|var|dev)[^\s,&;]*)", str(value)):
                    if not any(path == mount or path.startswith(f"{mount}/") for mount in mounts):
                        yield f"{pod.name}: {container['name']}: {name} names {path}, which is not mounted"


@invariant
def mysql_is_spoken_to_encrypted(release: Release) -> list[str]:
    """Outside development whoever has a URL of MySQL has the CA to check its certificate with."""
    if release.environment == "development":
        return []
    return [
        f"{pod.name}: {container['name']} has a URL of MySQL and no DB_TLS_CA"
        for pod in release.pods()
        for container in pod.containers()
        if any("mysql+pymysql://" in str(value) for value in environment_of(container).values())
        and not environment_of(container).get("DB_TLS_CA")
    ]


@invariant
def volumes_and_mounts_belong_together(release: Release) -> Iterator[str]:
    for pod in release.pods():
        claims = {item["metadata"]["name"] for item in pod.owner.get("spec", {}).get("volumeClaimTemplates", [])}
        volumes = [item["name"] for item in pod.spec.get("volumes", [])]
        mounted = {mount["name"] for item in pod.containers() for mount in item.get("volumeMounts", [])}
        yield from [f"{pod.name}: nothing mounts volume {name}" for name in sorted({*volumes, *claims} - mounted)]
        yield from [f"{pod.name}: mounts {name}, which is no volume" for name in sorted(mounted - {*volumes, *claims})]
        yield from [f"{pod.name}: volume {name} twice" for name in sorted(set(volumes)) if volumes.count(name) > 1]
        for volume in pod.spec.get("volumes", []):
            if "emptyDir" in volume and not (volume["emptyDir"] or {}).get("sizeLimit"):
                yield f"{pod.name}: emptyDir {volume['name']} may fill the node"


# ---- secrets and images


@invariant
def no_secret_is_in_the_manifests(release: Release) -> Iterator[str]:
    """Whoever may read release records reads every value; so charts only name Secrets, and none is a variable."""
    yield from [f"{name_of(item)}: a Secret with data" for item in of_kind(release.documents, "Secret")]
    for document in release.documents:
        for text in texts(document):
            if "PRIVATE KEY-----" in text or re.search(r"://[^/\s:@]+:[^/\s@]+@", text):
                yield f"{name_of(document)}: holds what looks like a secret"
    for pod in release.pods():
        for container in pod.containers():
            for item in container.get("env", []):
                if "secretKeyRef" in (item.get("valueFrom") or {}):
                    yield f"{pod.name}: {container['name']} has a secret in the variable {item['name']}"
                elif item.get("value") and re.search(r"(PASSWORD|SECRET|PASSWD|PWD|PRIVATE_KEY)$", item["name"]):
                    yield f"{pod.name}: {container['name']} sets {item['name']}"
            yield from [
                f"{pod.name}: {container['name']} takes variables from a Secret"
                for item in container.get("envFrom", [])
                if "secretRef" in item
            ]


@invariant
def secrets_are_the_agreed_ones(release: Release) -> Iterator[str]:
    """Each named Secret is one that make-secrets makes, with the keys that it has."""
    for pod in release.pods():
        for volume in pod.spec.get("volumes", []):
            sources = [volume["secret"]] if "secret" in volume else []
            sources += [
                item["secret"] for item in (volume.get("projected") or {}).get("sources", []) if "secret" in item
            ]
            for source in sources:
                name = source.get("secretName") or source.get("name")
                keys = {item["key"] for item in source.get("items", [])}
                if name not in SECRETS:
                    yield f"{pod.name}: nobody makes the Secret {name}"
                elif keys - SECRETS[name]:
                    yield f"{pod.name}: Secret {name} has no {', '.join(sorted(keys - SECRETS[name]))}"
                if source.get("optional"):
                    yield f"{pod.name}: starts without the Secret {name}"


@invariant
def secrets_arrive_without_a_restart(release: Release) -> Iterator[str]:
    """Services mount whole Secrets: the kubelet never updates a subPath, nor brings a key that `items` leaves out."""
    if release.chart not in SERVICES:
        return
    for pod in release.pods():
        named = {volume["name"]: volume["secret"] for volume in pod.spec.get("volumes", []) if "secret" in volume}
        for volume, source in named.items():
            if source.get("items"):
                yield f"{pod.name}: {volume} names its files, so another one never appears"
            if source.get("defaultMode") != GROUP_READS:
                yield f"{pod.name}: {volume} can be read by more than the pod's group"
        for container in pod.containers():
            for mount in container.get("volumeMounts", []):
                if mount["name"] in named and (mount.get("subPath") or mount.get("subPathExpr")):
                    yield f"{pod.name}: {container['name']} mounts {mount['name']} by subPath, so it never changes"


@invariant
def images_are_pinned(release: Release) -> Iterator[str]:
    """No image moves under the same name: not `latest`, and in production a full version or a digest."""
    for pod in release.pods():
        for container in pod.containers():
            image = container["image"]
            name, _, digest = image.partition("@")
            tag = name.rpartition("/")[2].partition(":")[2]
            exact = digest or re.search(r"\d+\.\d+\.\d+", tag) or re.fullmatch(r"git-[0-9a-f]{12}", tag)
            if not digest and tag in ("", "latest", "stable", "lts"):
                yield f"{pod.name}: {container['name']} runs {image}"
            elif release.environment == "production" and not exact:
                yield f"{pod.name}: {container['name']} runs {image}, which may move"
            if container.get("imagePullPolicy") not in ("IfNotPresent", "Never"):
                yield f"{pod.name}: {container['name']} is pulled at every start"


# ---- names, labels and selectors


@invariant
def objects_are_named_and_labelled(release: Release) -> Iterator[str]:
    names = [name_of(item) for item in release.documents]
    yield from [f"{name} is rendered twice" for name in sorted(set(names)) if names.count(name) > 1]
    for document in release.documents:
        metadata = document["metadata"]
        name = name_of(document)
        if len(metadata["name"]) > 63:
            yield f"{name}: longer than 63 characters"
        if document["kind"] not in CLUSTER_SCOPED and metadata.get("namespace") != release.namespace:
            yield f"{name}: namespace is {metadata.get('namespace')}"
        labels = metadata.get("labels") or {}
        expected = SELECTOR_LABELS if document["kind"] == "Pod" else STANDARD_LABELS  # as templates' pods have them
        yield from [f"{name}: no label {label}" for label in expected if label not in labels]
        if labels.get("app.kubernetes.io/part-of") != "redprint":
            yield f"{name}: is not part of redprint"
        for kind in ("labels", "annotations"):
            wrong = [key for key, value in (metadata.get(kind) or {}).items() if not isinstance(value, str)]
            yield from [f"{name}: {kind}.{key} is no text" for key in wrong]
    for pod in release.pods():
        for kind, entries in (("label", pod.labels), ("annotation", pod.annotations)):
            yield from [
                f"{pod.name}: {kind} {key} of the pod is no text"
                for key, value in entries.items()
                if not isinstance(value, str)
            ]


@invariant
def selectors_never_change(release: Release) -> Iterator[str]:
    """No version or chart in a selector: a Deployment's cannot change, and pods would drop out of their policies."""
    for document in release.documents:
        for selector in own_selectors(document):
            unknown = set(selector) - SELECTOR_LABELS
            if unknown or not selector:
                yield f"{name_of(document)}: selects by {', '.join(sorted(unknown)) or 'nothing'}"


def own_selectors(document: Document) -> list[dict[str, str]]:
    """Return the label sets by which an object finds the pods or Services of its own release."""
    spec = document.get("spec") or {}
    match document["kind"]:
        case "Service":
            return [spec.get("selector") or {}]
        case "NetworkPolicy":
            return [(spec.get("podSelector") or {}).get("matchLabels") or {}]
        case "Deployment" | "StatefulSet" | "DaemonSet" | "PodDisruptionBudget" | "ServiceMonitor" | "PodMonitor":
            found = [(spec.get("selector") or {}).get("matchLabels") or {}]
        case _:
            return []
    template = (spec.get("template") or {}).get("spec") or {}
    spread = [constraint.get("labelSelector") or {} for constraint in template.get("topologySpreadConstraints", [])]
    return found + [selector.get("matchLabels") or {} for selector in spread]


@invariant
def selectors_select_their_own_pods(release: Release) -> Iterator[str]:
    """Every workload's selector finds its own pods, and no two workloads the same ones."""
    for pod in release.lasting_pods():
        selector = pod.owner["spec"]["selector"]
        if not matches(selector, pod.labels):
            yield f"{pod.name}: does not select its own pods"
        others = [
            other.name for other in release.pods() if other.owner is not pod.owner and matches(selector, other.labels)
        ]
        yield from [f"{pod.name}: also selects the pods of {other}" for other in others]


# ---- references


@invariant
def services_lead_to_pods(release: Release) -> Iterator[str]:
    for service in of_kind(release.documents, "Service"):
        selected = [
            pod
            for pod in release.lasting_pods()
            if matches({"matchLabels": service["spec"].get("selector")}, pod.labels)
        ]
        if not selected:
            yield f"{name_of(service)}: selects no pod"
        strays = [pod for pod in release.pods() if pod not in release.lasting_pods()]
        yield from [
            f"{name_of(service)}: sends traffic to {pod.name}"
            for pod in strays
            if matches({"matchLabels": service["spec"].get("selector")}, pod.labels)
        ]
        for pod in selected:
            for port in service["spec"]["ports"]:
                target = port.get("targetPort", port["port"])
                if target not in pod.ports() and target not in pod.ports().values():
                    yield f"{name_of(service)}: {pod.name} has no port {target}"


@invariant
def monitors_find_their_targets(release: Release) -> Iterator[str]:
    """A monitor that matches nothing is silent."""
    for monitor in of_kind(release.documents, "ServiceMonitor"):
        services = [
            item
            for item in of_kind(release.documents, "Service")
            if matches(monitor["spec"]["selector"], item["metadata"]["labels"])
        ]
        for endpoint in monitor["spec"]["endpoints"]:
            having = [
                item for item in services if any(port.get("name") == endpoint["port"] for port in item["spec"]["ports"])
            ]
            if len(having) != 1:
                yield f"{name_of(monitor)}: {len(having)} Services with a port {endpoint['port']}, not one"
    for monitor in of_kind(release.documents, "PodMonitor"):
        selected = [pod for pod in release.lasting_pods() if matches(monitor["spec"]["selector"], pod.labels)]
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            if not any(endpoint["port"] in pod.ports() for pod in selected):
                yield f"{name_of(monitor)}: no pod with a port {endpoint['port']}"
    for monitor in of_kind(release.documents, "ServiceMonitor", "PodMonitor"):
        if monitor["spec"].get("namespaceSelector", {}).get("matchNames") != [release.namespace]:
            yield f"{name_of(monitor)}: looks into other namespaces"


@invariant
def metrics_are_found_one_way(release: Release) -> Iterator[str]:
    """Annotations or monitors, never both: everything would count twice. The annotated port is there."""
    monitors = of_kind(release.documents, "ServiceMonitor", "PodMonitor")
    for pod in release.pods():
        annotated = pod.annotations.get("prometheus.io/scrape") == "true"
        if annotated and monitors:
            yield f"{pod.name}: annotated beside {name_of(monitors[0])}"
        if annotated and pod.annotations.get("prometheus.io/port") not in {str(port) for port in pod.ports().values()}:
            yield f"{pod.name}: annotated with a port it does not have"
        if annotated and pod not in release.lasting_pods():
            yield f"{pod.name}: a hook is scraped"
    for service in of_kind(release.documents, "Service"):
        if "prometheus.io/scrape" in (service["metadata"].get("annotations") or {}):
            yield f"{name_of(service)}: annotated as well as its pods"


@invariant
def budgets_and_autoscalers_find_their_workload(release: Release) -> Iterator[str]:
    for budget in of_kind(release.documents, "PodDisruptionBudget"):
        covered = [pod for pod in release.lasting_pods() if matches(budget["spec"]["selector"], pod.labels)]
        if len(covered) != 1:
            yield f"{name_of(budget)}: covers {len(covered)} workloads"
        yield from [
            f"{name_of(budget)}: {pod.name} has one pod, so no node of it can be drained"
            for pod in covered
            if _fewest(release, pod) < 2
        ]
    for scaler in of_kind(release.documents, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        workload = release.find(target["kind"], target["name"])
        if workload is None:
            yield f"{name_of(scaler)}: its target is not rendered"
        elif "replicas" in workload["spec"]:
            yield f"{name_of(scaler)}: {name_of(workload)} sets replicas as well"
    scaled = {item["spec"]["scaleTargetRef"]["name"] for item in of_kind(release.documents, "HorizontalPodAutoscaler")}
    for workload in of_kind(release.documents, "Deployment", "StatefulSet"):
        if "replicas" not in workload["spec"] and workload["metadata"]["name"] not in scaled:
            yield f"{name_of(workload)}: nobody decides how many pods"


def _fewest(release: Release, pod: Pod) -> int:
    for scaler in of_kind(release.documents, "HorizontalPodAutoscaler"):
        if scaler["spec"]["scaleTargetRef"]["name"] == pod.owner["metadata"]["name"]:
            return int(scaler["spec"].get("minReplicas", 1))
    return int(pod.owner["spec"].get("replicas", 1))


@invariant
def production_survives_a_drain(release: Release) -> Iterator[str]:
    """Two pods of each service, spread, and a budget; the singletons that hold data are the stated exception."""
    if release.environment != "production" or release.chart not in SERVICES:
        return
    budgets = of_kind(release.documents, "PodDisruptionBudget")
    for pod in release.lasting_pods():
        if _fewest(release, pod) < 2:
            yield f"{pod.name}: one pod in production"
        if not any(matches(budget["spec"]["selector"], pod.labels) for budget in budgets):
            yield f"{pod.name}: no disruption budget"
        if not pod.spec.get("topologySpreadConstraints"):
            yield f"{pod.name}: may stand on one node"


@invariant
def routes_lead_to_services(release: Release) -> Iterator[str]:
    for ingress in of_kind(release.documents, "Ingress"):
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                port = backend["port"].get("name") or backend["port"].get("number")
                yield from _backend_problems(release, name_of(ingress), backend["name"], port)
        if release.environment != "development" and not ingress["spec"].get("tls"):
            yield f"{name_of(ingress)}: tokens would travel in the clear"
    for route in of_kind(release.documents, "HTTPRoute"):
        for rule in route["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                yield from _backend_problems(release, name_of(route), backend["name"], backend["port"])


def _backend_problems(release: Release, owner: str, name: str, port: Any) -> list[str]:
    service = release.find("Service", name)
    if service is None:
        return [f"{owner}: leads to Service {name}, which is not rendered"]
    ports = {value for item in service["spec"]["ports"] for value in (item.get("name"), item["port"])}
    if port not in ports:
        return [f"{owner}: Service {name} has no port {port}"]
    if port in ("metrics", 9090):
        return [f"{owner}: publishes the metrics"]
    return []


@invariant
def policies_cover_every_pod(release: Release) -> Iterator[str]:
    """Every pod has a policy of its own release, for both directions, and every policy a pod."""
    policies = of_kind(release.documents, "NetworkPolicy")
    for policy in policies:
        if not any(matches(policy["spec"]["podSelector"], pod.labels) for pod in release.pods()):
            yield f"{name_of(policy)}: selects no pod"
        if set(policy["spec"].get("policyTypes", [])) != {"Ingress", "Egress"}:
            yield f"{name_of(policy)}: does not say both policyTypes"
        for direction, peers in (("ingress", "from"), ("egress", "to")):
            for rule in policy["spec"].get(direction) or []:
                if not rule.get(peers):
                    yield f"{name_of(policy)}: {direction} with anybody"
                if not rule.get("ports"):
                    yield f"{name_of(policy)}: {direction} on any port"
                yield from [
                    f"{name_of(policy)}: {direction} names every pod of a namespace without naming it"
                    for peer in rule.get(peers) or []
                    if peer in ({}, {"namespaceSelector": {}}, {"podSelector": {}})
                ]
    for pod in release.pods():
        if not any(matches(policy["spec"]["podSelector"], pod.labels) for policy in policies):
            yield f"{pod.name}: no policy"


@invariant
def references_stay_within_the_release(release: Release) -> Iterator[str]:
    """ConfigMaps and accounts that pods name are rendered; a StatefulSet's Service too."""
    for pod in release.pods():
        account = pod.spec.get("serviceAccountName")
        if account and release.find("ServiceAccount", account) is None:
            yield f"{pod.name}: ServiceAccount {account} is not rendered"
        for name in config_maps(pod):
            if release.find("ConfigMap", name) is None:
                yield f"{pod.name}: ConfigMap {name} is not rendered"
    for item in of_kind(release.documents, "StatefulSet"):
        service = release.find("Service", item["spec"]["serviceName"])
        if service is None or service["spec"].get("clusterIP") != "None":
            yield f"{name_of(item)}: serviceName is no headless Service"


def config_maps(pod: Pod) -> set[str]:
    """Return the ConfigMaps a pod needs."""
    found = {item["configMap"]["name"] for item in pod.spec.get("volumes", []) if "configMap" in item}
    for volume in pod.spec.get("volumes", []):
        sources = (volume.get("projected") or {}).get("sources", [])
        found |= {item["configMap"]["name"] for item in sources if "configMap" in item}
    for container in pod.containers():
        found |= {item["configMapRef"]["name"] for item in container.get("envFrom", []) if "configMapRef" in item}
        references = [(item.get("valueFrom") or {}).get("configMapKeyRef") for item in container.get("env", [])]
        found |= {reference["name"] for reference in references if reference}
    return found


@invariant
def hooks_stand_alone(release: Release) -> Iterator[str]:
    """A hook runs on install and on upgrade, is replaced next time, and uses nothing that comes with the release."""
    for document in release.documents:
        moments = hooks(document)
        if not moments:
            continue
        name = name_of(document)
        annotations = document["metadata"]["annotations"]
        if moments & {"pre-install", "pre-upgrade"} and not moments >= {"pre-install", "pre-upgrade"}:
            yield f"{name}: a failed first install is repeated as an upgrade, and would skip it"
        if "before-hook-creation" not in annotations.get("helm.sh/hook-delete-policy", ""):
            yield f"{name}: the next run would find it in the way"
        if "helm.sh/hook-weight" not in annotations:
            yield f"{name}: no weight"
        yield from [f"{name}: {problem}" for pod in pods([document]) for problem in _dependence(release, pod, moments)]
    accounts = {item["metadata"]["name"] for item in of_kind(release.documents, "ServiceAccount") if hooks(item)}
    for pod in release.lasting_pods():
        if pod.spec.get("serviceAccountName") in accounts:
            yield f"{pod.name}: its account is a hook, deleted and made anew at every upgrade"


def _dependence(release: Release, pod: Pod, moments: set[str]) -> Iterator[str]:
    if moments == {"test"}:
        return
    needed = [("ServiceAccount", pod.spec.get("serviceAccountName", "default"))]
    needed += [("ConfigMap", name) for name in sorted(config_maps(pod))]
    weight = int(pod.owner["metadata"]["annotations"].get("helm.sh/hook-weight", 0))
    for kind, name in needed:
        thing = release.find(kind, name)
        if thing is None:
            continue  # references_stay_within_the_release says so
        if not hooks(thing) >= moments:
            yield f"needs {kind}/{name}, which does not exist before the release"
        elif int(thing["metadata"]["annotations"].get("helm.sh/hook-weight", 0)) >= weight:
            yield f"needs {kind}/{name}, which is made at the same time"
    if pod.owner["kind"] == "Job":
        spec = pod.owner["spec"]
        if not spec.get("activeDeadlineSeconds"):
            yield "may run for ever"
        if pod.spec.get("restartPolicy") != "Never":
            yield "restarts in place, and its first log is lost"
