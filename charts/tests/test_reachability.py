"""Who reaches whom: the whole matrix, computed from the policies of k8s/ and of all charts together."""

import ipaddress
import json

import pytest
from checking import charts
from checking.charts import CHARTS, Case
from checking.manifests import of_kind, pods
from checking.network import Peer, may_connect

HTTP, METRICS, MYSQL, EXPORTER, VALKEY, DNS = 8080, 9090, 3306, 9104, 6379, 53

# source: {(target, port)}. Everything that is not here has to be refused.
ALLOWED = {
    "auth": {("mysql", MYSQL), ("valkey", VALKEY)},
    "auth-migrate": {("mysql", MYSQL)},
    "auth-test": {("auth", HTTP)},
    "api": {("mysql", MYSQL), ("auth", HTTP), ("valkey", VALKEY)},
    "api-migrate": {("mysql", MYSQL)},
    "api-test": {("auth", HTTP), ("api", HTTP)},
    "worker": {("mysql", MYSQL), ("valkey", VALKEY)},
    "worker-dispatcher": {("mysql", MYSQL), ("valkey", VALKEY)},
    "worker-test": {("mysql", MYSQL), ("valkey", VALKEY)},
    "mysql": set(),
    "mysql-exporter": {("mysql", MYSQL)},
    "mysql-test": {("mysql", MYSQL)},
    "valkey": set(),
    "valkey-test": {("valkey", VALKEY)},
    # Around the product.
    "ingress": {("auth", HTTP), ("api", HTTP)},
    "prometheus": {(name, METRICS) for name in ("auth", "api", "worker", "worker-dispatcher")}
    | {("mysql-exporter", EXPORTER)},
    "stranger": set(),
    "neighbour": set(),
    "internet": set(),
    "metadata": set(),
}
OUTSIDE = [
    Peer("ingress", "ingress-nginx", {"app.kubernetes.io/name": "ingress-nginx"}),
    Peer("prometheus", "monitoring", {"app.kubernetes.io/name": "prometheus"}),
    Peer("neighbour", "elsewhere", {"app.kubernetes.io/name": "api", "redprint.dev/db-client": "true"}),
    Peer("internet", "", address="203.0.113.7"),
    Peer("metadata", "", address="169.254.169.254"),
]
PORTS = (HTTP, METRICS, MYSQL, EXPORTER, VALKEY, DNS, 443)


def world(environment):
    documents = [item for chart in CHARTS for item in charts.documents(Case(chart, environment))]
    policies = of_kind([*documents, *charts.overlay(environment)], "NetworkPolicy")
    namespace = f"redprint-{environment}"
    inside = [Peer.of(pod, namespace) for pod in pods(documents)]
    # A pod somebody started by hand, and one of the product's before its release has any policy.
    return [*inside, Peer("stranger", namespace), *OUTSIDE], policies


def test_exactly_the_named_pairs_connect(environment):
    peers, policies = world(environment)
    found = {
        peer.name: {
            (target.name, port)
            for target in peers
            for port in PORTS
            if target is not peer
            and target.namespace == f"redprint-{environment}"
            and may_connect(peer, target, port, "TCP", policies)
        }
        for peer in peers
    }
    assert found == {name: ALLOWED.get(name, set()) for name in found}


def test_every_pod_is_in_the_matrix(environment):
    peers, _ = world(environment)
    assert {peer.name for peer in peers} <= set(ALLOWED)


def test_names_are_looked_up_by_everybody_and_nothing_else_leaves(environment):
    peers, policies = world(environment)
    dns = Peer("dns", "kube-system", {"k8s-app": "kube-dns"}, {"dns": 53})
    other = Peer("other", "kube-system", {"k8s-app": "metrics-server"})
    for peer in [peer for peer in peers if peer.namespace == f"redprint-{environment}"]:
        assert may_connect(peer, dns, 53, "UDP", policies), peer.name
        assert may_connect(peer, dns, 53, "TCP", policies), peer.name
        assert not may_connect(peer, dns, 8080, "TCP", policies), peer.name
        assert not may_connect(peer, other, 53, "UDP", policies), peer.name
        for target in OUTSIDE:
            for port in PORTS:
                assert not may_connect(peer, target, port, "TCP", policies), f"{peer.name} -> {target.name}:{port}"


@pytest.mark.parametrize(
    ("label", "target", "port"),
    [
        ("db-client", "mysql", MYSQL),
        ("broker-client", "valkey", VALKEY),
        ("state-client", "valkey", VALKEY),
        ("auth-client", "auth", HTTP),
        ("api-client", "api", HTTP),
    ],
)
def test_a_label_is_enough_for_a_way_out_before_a_release_has_policies(environment, label, target, port):
    """A migration runs before any object of its release: the namespace's policies alone have to let it out."""
    peers, _ = world(environment)
    policies = of_kind(charts.overlay(environment), "NetworkPolicy")
    hook = Peer("hook", f"redprint-{environment}", {f"redprint.dev/{label}": "true"})
    there = next(peer for peer in peers if peer.name == target)
    listening = [*policies, _open(there)]
    assert may_connect(hook, there, port, "TCP", listening)
    reached = {peer.name for peer in peers for number in PORTS if may_connect(hook, peer, number, "TCP", listening)}
    assert reached == {target}


def _open(peer):
    """A policy that lets everybody in, so that only the way out is looked at."""
    spec = {"podSelector": {"matchLabels": peer.labels}, "policyTypes": ["Ingress"], "ingress": [{}]}
    return {"kind": "NetworkPolicy", "metadata": {"name": "open", "namespace": peer.namespace}, "spec": spec}


def test_a_servers_own_cidr_may_be_opened_but_never_the_metadata_service():
    case = Case("auth", "production", "elsewhere")
    documents = charts.documents(case)
    policies = of_kind([*documents, *charts.overlay("production")], "NetworkPolicy")
    for pod in [pod for pod in pods(documents) if pod.owner["kind"] in ("Deployment", "Job")]:
        peer = Peer.of(pod, case.namespace)
        assert may_connect(peer, Peer("db", "", address="10.20.0.5"), 3306, "TCP", policies), peer.name
        assert not may_connect(peer, Peer("db", "", address="10.20.0.5"), 22, "TCP", policies), peer.name
        assert not may_connect(peer, Peer("meta", "", address="169.254.169.254"), 3306, "TCP", policies), peer.name


@pytest.mark.parametrize(
    ("cidr", "inside"),
    [
        ("169.254.0.0/16", True),
        ("160.0.0.0/4", True),
        ("10.0.0.0/8", False),
        ("::/0", True),
        ("fc00::/7", True),
        ("FD00::/8", True),
        ("fd00:ec2::/32", True),
        ("fd12:3456::/32", False),
    ],
)
def test_a_range_around_the_metadata_service_has_a_hole_there_and_no_other_range(cidr, inside):
    """The API server refuses a hole outside of its range, so it cannot simply always be there."""
    item = json.dumps([{"cidr": cidr, "ports": [3306]}])
    done = charts.render(Case("worker", "staging"), "--set-json", f"networkPolicy.egressCidrs={item}")
    assert done.returncode == 0, done.stderr
    blocks = [
        peer["ipBlock"]
        for policy in of_kind(charts.load(done.stdout), "NetworkPolicy")
        for rule in policy["spec"]["egress"]
        for peer in rule["to"]
        if "ipBlock" in peer
    ]
    assert blocks
    for block in blocks:
        holes = [ipaddress.ip_network(hole) for hole in block.get("except", [])]
        assert bool(holes) is inside
        assert all(hole.subnet_of(ipaddress.ip_network(cidr)) and hole.num_addresses == 1 for hole in holes)


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        ({}, True),
        ({"from": [{"podSelector": {}}]}, True),
        ({"from": [{"podSelector": {"matchLabels": {"a": "c"}}}]}, False),
        ({"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "two"}}}]}, False),
        ({"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}, False),
        ({"ports": [{"port": 80}]}, True),
        ({"ports": [{"port": "web"}]}, True),
        ({"ports": [{"port": "other"}]}, False),
        ({"ports": [{"port": 80, "protocol": "UDP"}]}, False),
        ({"ports": [{"port": 70, "endPort": 90}]}, True),
        ({"from": [{"podSelector": {"matchLabels": {"a": "c"}}}], "ports": [{"port": 80}]}, False),
    ],
)
def test_policies_are_read_as_kubernetes_reads_them(rule, allowed):
    source = Peer("source", "one", {"a": "b"})
    target = Peer("target", "one", {"a": "d"}, {"web": 80})
    policy = {
        "metadata": {"name": "x", "namespace": "one"},
        "spec": {"podSelector": {"matchLabels": {"a": "d"}}, "policyTypes": ["Ingress"], "ingress": [rule]},
    }
    assert may_connect(source, target, 80, "TCP", [policy]) is allowed
    assert may_connect(target, source, 80, "TCP", [policy])
