"""The command: scripts/check-scraping NAMESPACE [--monitors]."""

import argparse
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus

from devtools.say import Stop, note, result
from devtools.scraping import kubernetes, monitors, targets
from devtools.scraping.kubernetes import Object

PORT = 9090
SECOND = "prometheus-monitors"
DESCRIPTION = """\
Compare the targets of the Prometheus of k8s/monitoring with the running pods of NAMESPACE that have a port called
metrics: each has to be scraped once, be up, and carry the labels by which rules and dashboards find it.

With --monitors the charts of the namespace's releases are rendered with metrics.mode operator, on the releases' own
values; what their ServiceMonitors and PodMonitors select of the live pods is given to a second Prometheus, for the time
of the check. So a selector or port name that matches nothing shows without the operator being there.

Needs kubectl (and helm with --monitors) and a context that may read the namespace and create pods in the monitoring
namespace. Exit status 1 and a line for each fault where something is wrong.
"""


Look = tuple[list[str], list[Object], list[targets.Target]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="check-scraping", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("namespace", metavar="NAMESPACE")
    parser.add_argument("--monitors", action="store_true", help="by the charts' monitors instead of annotations")
    parser.add_argument("--prometheus", default="monitoring", metavar="NAMESPACE", help="default: monitoring")
    parser.add_argument("--timeout", type=int, default=120, metavar="SECONDS", help="for all to be up; default: 120")
    options = parser.parse_args(arguments)
    check = _by_monitors if options.monitors else _by_annotations
    try:
        faults = check(options.namespace, options.prometheus, options.timeout)
    except Stop as stop:
        note(f"check-scraping: {stop}")
        return 1
    for fault in faults:
        note(f"check-scraping: {fault}")
    return 1 if faults else 0


def _by_annotations(namespace: str, monitoring: str, timeout: int) -> list[str]:
    with kubernetes.forwarded("service/prometheus", PORT, monitoring) as url:
        return _watch(namespace, url, timeout, "by annotations")


def _by_monitors(namespace: str, monitoring: str, timeout: int) -> list[str]:
    rendered = kubernetes.rendered_for_the_operator(namespace)
    found = [one for one in rendered if one["kind"] in {"ServiceMonitor", "PodMonitor"}]
    if not found:
        raise Stop(f"no release in {namespace} renders a monitor")
    services = [one for one in rendered if one["kind"] == "Service"]
    resolved = monitors.resolve(found, monitors.Namespace(namespace, kubernetes.get("pods", namespace), services))
    with (
        _second_prometheus(monitors.scrape_configuration(resolved.entries), monitoring),
        kubernetes.forwarded(f"pod/{SECOND}", PORT, monitoring) as url,
    ):
        return resolved.unmatched + _watch(namespace, url, timeout, f"by {len(found)} monitors")


def _watch(namespace: str, url: str, timeout: int, how: str) -> list[str]:
    """Look until nothing is wrong, or the time is over: a pod that has just started is scraped at the next interval."""

    def look() -> Look:
        pods = kubernetes.get("pods", namespace)
        found = targets.from_answer(_ask(f"{url}/api/v1/targets?state=active"), namespace)
        return targets.problems(pods, found), pods, found

    faults, pods, found = _until(look, lambda seen: not seen[0], timeout)
    if not targets.expected(pods):
        return [f"no running pod of {namespace} has a port called {targets.PORT_NAME}: nothing was checked"]
    if not faults:
        for target in sorted(found, key=lambda target: target.pod):
            result(f"{target.pod} {target.address} {target.health}")
        result(f"All {len(found)} targets of {namespace} are up {how}, none is double, none is missing.")
    return faults


def _until(look: Callable[[], Look], is_good: Callable[[Look], bool], timeout: int) -> Look:
    end = time.monotonic() + timeout
    while True:
        seen = look()
        if is_good(seen) or time.monotonic() > end:
            return seen
        time.sleep(2)


def _ask(url: str) -> Object:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - a port of our own making
            if answer.status != HTTPStatus.OK:
                raise Stop(f"Prometheus answers with {answer.status}")
            body: Object = json.load(answer)
            return body
    except (urllib.error.URLError, OSError) as error:
        raise Stop(f"Prometheus does not answer: {error}") from error


@contextmanager
def _second_prometheus(configuration: Object, namespace: str) -> Iterator[None]:
    """Run a Prometheus with that configuration while the block runs: the deployed one's pod, without its rights."""
    template = kubernetes.get_one("deployment", "prometheus", namespace)["spec"]["template"]
    spec = {**template["spec"], "serviceAccountName": "default", "automountServiceAccountToken": False}
    spec["terminationGracePeriodSeconds"] = 1
    spec["volumes"] = [
        {**volume, "configMap": {"name": SECOND}} if volume["name"] == "config" else volume
        for volume in spec["volumes"]
        if volume["name"] != "rules"
    ]
    for container in spec["containers"]:
        container["volumeMounts"] = [mount for mount in container["volumeMounts"] if mount["name"] != "rules"]
        container["resources"] = {"requests": {"cpu": "10m", "memory": "64Mi"}}
    # Not a pod of the Service: whoever asks that must not be answered by this one.
    labels = {**template["metadata"]["labels"], "app.kubernetes.io/component": "check"}
    metadata = {"name": SECOND, "namespace": namespace, "labels": labels}
    names = [f"pod/{SECOND}", f"configmap/{SECOND}"]
    remove = ("kubectl", "delete", *names, "--namespace", namespace, "--ignore-not-found", "--wait")
    kubernetes.run(*remove)
    try:
        kubernetes.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": metadata,
                "data": {"prometheus.yml": json.dumps(configuration, indent=1)},
            },
            {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec},
        )
        _wait_until_ready(namespace)
        yield
    finally:
        kubernetes.run(*remove)


def _wait_until_ready(namespace: str) -> None:
    try:
        kubernetes.run(
            "kubectl", "wait", f"pod/{SECOND}", "--namespace", namespace, "--for=condition=Ready", "--timeout=60s"
        )
    except Stop:
        conditions = kubernetes.get_one("pod", SECOND, namespace)["status"].get("conditions", [])
        why = [condition["message"] for condition in conditions if condition.get("message")]
        raise Stop(f"the second Prometheus did not get ready: {'; '.join(why)}") from None
