"""Who may open a connection to whom, computed from NetworkPolicies as Kubernetes defines them."""

import ipaddress
from dataclasses import dataclass, field

from checking.manifests import Document, Pod, matches


@dataclass(frozen=True, eq=False)
class Peer:
    """A pod, or an address outside of the cluster (`address`), with the named ports it listens on."""

    name: str
    namespace: str
    labels: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    address: str | None = None

    @classmethod
    def of(cls, pod: Pod, namespace: str) -> "Peer":
        return cls(pod.owner["metadata"]["name"], namespace, pod.labels, pod.ports())


@dataclass(frozen=True)
class _Attempt:
    """A connection as one of its ends sees it: `here` has the policies, `there` is the other one."""

    here: Peer
    there: Peer
    target: Peer
    port: int
    protocol: str


def may_connect(source: Peer, target: Peer, port: int, protocol: str, policies: list[Document]) -> bool:
    """Say whether both ends allow it; an end that no policy selects for the direction allows everything."""
    leaving = _passes("egress", "to", _Attempt(source, target, target, port, protocol), policies)
    return leaving and _passes("ingress", "from", _Attempt(target, source, target, port, protocol), policies)


def _passes(direction: str, peers: str, attempt: _Attempt, policies: list[Document]) -> bool:
    if attempt.here.address is not None:
        return True
    selecting = [
        policy["spec"]
        for policy in policies
        if policy["metadata"]["namespace"] == attempt.here.namespace
        and matches(policy["spec"]["podSelector"], attempt.here.labels)
        and direction.capitalize() in _types(policy["spec"])
    ]
    rules = [rule for spec in selecting for rule in spec.get(direction) or []]
    return not selecting or any(_rule_allows(rule.get(peers), rule.get("ports"), attempt) for rule in rules)


def _types(spec: Document) -> list[str]:
    default = ["Ingress", "Egress"] if "egress" in spec else ["Ingress"]
    types: list[str] = spec.get("policyTypes") or default
    return types


def _rule_allows(peers: list[Document] | None, ports: list[Document] | None, attempt: _Attempt) -> bool:
    port = not ports or any(_port_allows(item, attempt) for item in ports)
    return port and (not peers or any(_peer_matches(item, attempt.here, attempt.there) for item in peers))


def _port_allows(item: Document, attempt: _Attempt) -> bool:
    if item.get("protocol", "TCP") != attempt.protocol:
        return False
    wanted = item.get("port")
    if isinstance(wanted, str):
        return attempt.target.ports.get(wanted) == attempt.port
    return wanted is None or wanted <= attempt.port <= item.get("endPort", wanted)


def _peer_matches(item: Document, here: Peer, there: Peer) -> bool:
    if "ipBlock" in item:
        if there.address is None:
            return False
        address = ipaddress.ip_address(there.address)
        inside = address in ipaddress.ip_network(item["ipBlock"]["cidr"])
        return inside and not any(address in ipaddress.ip_network(part) for part in item["ipBlock"].get("except") or [])
    if there.address is not None:
        return False
    if "namespaceSelector" in item:
        # The label every namespace has; nothing here selects by another one.
        if not matches(item["namespaceSelector"], {"kubernetes.io/metadata.name": there.namespace}):
            return False
    elif there.namespace != here.namespace:
        return False
    return "podSelector" not in item or matches(item["podSelector"], there.labels)
