"""What is kept of a client, and when two look like one."""

import pytest
from auth_service.client import Client, is_same_origin


def client(address: str | None = "192.0.2.7", user_agent: str = "curl/8.9") -> Client:
    return Client.of_request(address=address, user_agent=user_agent, trace_id=None)


@pytest.mark.parametrize(
    ("user_agent", "label"),
    [
        ("curl/8.9", "curl/8.9"),
        ("", None),
        (" \t ", None),
        ("a\x00b\x1b[2Jc\x7f", "a b [2Jc"),
        ("two\r\nlines", "two lines"),
        ("x" * 500, "x" * 100),
        ("Caf\xe9", "Caf\xe9"),
    ],
)
def test_a_label_is_the_user_agent_fit_to_be_shown(user_agent: str, label: str | None) -> None:
    assert client(user_agent=user_agent).device_label == label


def test_the_digest_is_of_the_whole_user_agent() -> None:
    one, other = client(user_agent="x" * 500), client(user_agent="x" * 501)
    assert one.device_label == other.device_label
    assert one.user_agent_digest != other.user_agent_digest
    assert len(one.user_agent_digest or "") == 32
    assert client(user_agent="").user_agent_digest is None


@pytest.mark.parametrize(
    ("address", "ip"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:DB8::1", "2001:db8::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        (None, None),
        ("", None),
        ("unix:", None),
        ("192.0.2.7, 192.0.2.8", None),
    ],
)
def test_an_address_has_one_spelling_or_there_is_none(address: str | None, ip: str | None) -> None:
    assert client(address).ip == ip


@pytest.mark.parametrize(
    ("ip", "label", "is_same"),
    [
        ("192.0.2.7", "curl/8.9", True),
        ("192.0.2.255", "curl/8.9", True),
        ("192.0.3.7", "curl/8.9", False),
        ("2001:db8::1", "curl/8.9", False),
        (None, "curl/8.9", False),
        ("192.0.2.7", "curl/9", False),
        ("192.0.2.7", None, False),
    ],
)
def test_an_origin_is_a_program_in_a_network(ip: str | None, label: str | None, is_same: bool) -> None:
    assert is_same_origin(client(), ip=ip, device_label=label) is is_same


def test_networks_of_ipv6_are_as_large_as_what_one_customer_gets() -> None:
    assert is_same_origin(client("2001:db8:1:2::7"), ip="2001:db8:1:ffff::1", device_label="curl/8.9")
    assert not is_same_origin(client("2001:db8:1:2::7"), ip="2001:db8:2:2::7", device_label="curl/8.9")


def test_two_without_an_address_are_told_apart_by_their_program() -> None:
    assert is_same_origin(client(None), ip=None, device_label="curl/8.9")
    assert not is_same_origin(client(None), ip=None, device_label="other")
