"""Who asks, as far as a request shows it: an address and a program, neither of them proven."""

from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Address, ip_address

from auth_service.models.session import MAX_IP_LENGTH, MAX_LABEL_LENGTH

# What one household or office usually has: an address changes within it without anybody having moved.
_IPV4_PREFIX_BITS = 24
_IPV6_PREFIX_BITS = 48


@dataclass(frozen=True)
class Client:
    """`device_label` is the User-Agent made fit to be shown, the digest one of it as it came (32 hexadecimal digits).

    `trace_id` is what everything the request caused is logged under.
    """

    ip: str | None = None
    device_label: str | None = None
    user_agent_digest: str | None = None
    trace_id: str | None = None

    @classmethod
    def of_request(cls, *, address: str | None, user_agent: str, trace_id: str | None) -> "Client":
        """Return the client an address and a User-Agent header describe; "" is no header."""
        digest = sha256(user_agent.encode(errors="surrogateescape")).hexdigest()[:32] if user_agent else None
        return cls(_read_ip(address), _clean_label(user_agent), digest, trace_id)


def is_same_origin(client: Client, *, ip: str | None, device_label: str | None) -> bool:
    """Whether the client looks like the one last seen: the same program, from the same network (/24, /48)."""
    return client.device_label == device_label and _network_of(client.ip) == _network_of(ip)


def _read_ip(address: str | None) -> str | None:
    """None for what is no address: a server on a Unix socket has none of its client."""
    try:
        ip = ip_address(address or "")
    except ValueError:
        return None
    mapped = None if isinstance(ip, IPv4Address) else ip.ipv4_mapped
    return str(mapped or ip)[:MAX_IP_LENGTH]


def _clean_label(user_agent: str) -> str | None:
    printable = "".join(character if character.isprintable() else " " for character in user_agent)
    return " ".join(printable.split())[:MAX_LABEL_LENGTH].rstrip() or None


def _network_of(ip: str | None) -> int | None:
    if ip is None:
        return None
    address = ip_address(ip)
    bits = _IPV4_PREFIX_BITS if address.version == 4 else _IPV6_PREFIX_BITS
    return int(address) >> (address.max_prefixlen - bits)
