"""Header members with a meaning of their own, and shapes that are no compact JWS."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from common.jwt import Claims

Accept = Callable[[str], Claims]
Refuse = Callable[[str], str]


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"crit": ["exp"], "exp": 1}, id="A28-unknown-extension"),
        pytest.param({"crit": []}, id="A28-empty"),
        pytest.param({"crit": "b64"}, id="A28-not-a-list"),
        pytest.param({"crit": ["b64"], "b64": True}, id="A29"),
        pytest.param({"crit": ["b64"], "b64": False}, id="A30-with-crit"),
        pytest.param({"b64": False}, id="A30-without-crit"),
        pytest.param({"zip": "DEF"}, id="A34-zip"),
        pytest.param({"cty": "JWT"}, id="A34-cty"),
        pytest.param({"enc": "A256GCM"}, id="A34-enc"),
    ],
)
def test_a_header_member_beyond_alg_kid_and_typ_is_refused(mint: Any, refuse: Refuse, members: dict[str, Any]) -> None:
    assert refuse(mint.token(mint.header(**members))) == "header"


@pytest.mark.parametrize("typ", [None, 1, ["at+jwt"]], ids=lambda typ: f"A31-{type(typ).__name__}")
def test_a_typ_of_another_type_is_refused(mint: Any, refuse: Refuse, typ: object) -> None:
    assert refuse(mint.token(mint.header(typ=typ))) == "header"


def test_a_header_without_typ_is_refused_a31(mint: Any, refuse: Refuse) -> None:
    assert refuse(mint.token(mint.header(typ=mint.DROP))) == "type"


@pytest.mark.parametrize(
    "typ",
    ["JWT", "id+jwt", "rt+jwt", "logout+jwt", "", "at+jwt ", "text/at+jwt", "at", "\u0430t+jwt"],
    ids=lambda typ: f"A31-{typ}",
)
def test_a_token_of_another_kind_is_refused(mint: Any, refuse: Refuse, typ: str) -> None:
    assert refuse(mint.token(mint.header(typ=typ))) == "type"


@pytest.mark.parametrize("typ", ["AT+JWT", "application/at+jwt", "application/AT+jwt"], ids=lambda typ: f"A32-{typ}")
def test_typ_is_compared_as_a_media_type(mint: Any, accept: Accept, typ: str) -> None:
    assert accept(mint.token(mint.header(typ=typ))).client_id == "redprint"


@pytest.mark.parametrize("member", ["alg", "kid", "typ"], ids=lambda name: f"A33-{name}")
def test_a_header_member_named_twice_is_refused(mint: Any, refuse: Refuse, member: str) -> None:
    header = mint.header()
    text = json.dumps(header)[:-1] + f', "{member}": {json.dumps(header[member])}}}'
    assert refuse(mint.token(text.encode())) == "header"


def test_a_header_member_named_twice_by_an_escape_is_refused_a33(mint: Any, refuse: Refuse) -> None:
    text = json.dumps(mint.header())[:-1] + r', "\u0061lg": "none"}'
    assert refuse(mint.token(text.encode())) == "header"


def test_five_segments_are_refused_a34(refuse: Refuse) -> None:
    assert refuse("eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn") == "encoding"


def test_the_json_serialisation_is_refused_a35(mint: Any, refuse: Refuse) -> None:
    header, payload, signature = mint.token().split(".")
    flattened = {"protected": header, "payload": payload, "signature": signature}
    general = {"payload": payload, "signatures": [{"protected": header, "signature": signature}]}
    for form in (flattened, general):
        assert refuse(json.dumps(form)) == "encoding"
