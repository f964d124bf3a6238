"""The strict readings against the plain meaning of the standards."""

import base64
import json
import math

import pytest
from common.jwt.encoding import decode_base64url, encode_base64url, parse_json_object
from hypothesis import example, given
from hypothesis import strategies as st

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Members(list[tuple[str, object]]):
    """An object whose members may have one name."""

    def has_twins(self) -> bool:
        return len({name for name, _ in self}) < len(self)


names = st.sampled_from(["a", "b", "é", "\ud800"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(names, inner), max_size=3).map(Members),
    max_leaves=6,
)


def write(value: object) -> str:
    if isinstance(value, Members):
        return "{" + ",".join(f"{json.dumps(name)}:{write(item)}" for name, item in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(write, value)) + "]"
    return json.dumps(value)


def is_strict(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Members):
        return not value.has_twins() and all(is_strict(item) for _, item in value)
    return not isinstance(value, list) or all(map(is_strict, value))


@given(st.binary())
def test_bytes_come_back_as_they_were(data: bytes) -> None:
    text = encode_base64url(data)
    assert text == base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    assert decode_base64url(text) == data


@given(st.text(ALPHABET + "+/=. \n\0é", max_size=12) | st.text(max_size=6))
@example("AB")
@example("A+AA")
@example("A/AA")
@example("AAAA====AAAA")
@example("AAAA\n\n\n\nAAAA")
@example("A=")
@example("AAA=")
def test_a_text_is_read_only_where_it_is_what_would_be_written(text: str) -> None:
    data = read_leniently(text)
    if data is not None and encode_base64url(data) == text:
        assert decode_base64url(text) == data
    else:
        with pytest.raises(ValueError, match=r".*"):
            decode_base64url(text)


def read_leniently(text: str) -> bytes | None:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None


def test_no_text_is_no_bytes() -> None:
    assert decode_base64url("") == b""


@given(st.lists(st.tuples(names, values), max_size=3).map(Members), st.sampled_from(["", " ", "\n"]))
def test_an_object_is_read_as_it_is_or_refused_for_twins_and_what_is_no_number(members: Members, around: str) -> None:
    data = (around + write(members) + around).encode()
    if is_strict(members):
        assert parse_json_object(data) == json.loads(data)
    else:
        with pytest.raises(ValueError, match=r"twice|not JSON"):
            parse_json_object(data)


@pytest.mark.parametrize(
    "text",
    ['{"a":1,"a":1}', '{"a":{"b":1,"b":2}}', '[{"a":1,"a":2}]', '{"a":1,"\\u0061":2}', "[]", "1", "", "{} {}"],
)
def test_what_is_no_object_with_each_member_once_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_json_object(text.encode())


@pytest.mark.parametrize("number", [2**64, -(2**64), 2**53 + 1, 10**40])
def test_a_large_number_stays_what_it_is(number: int) -> None:
    assert parse_json_object(json.dumps({"n": number}).encode()) == {"n": number}
