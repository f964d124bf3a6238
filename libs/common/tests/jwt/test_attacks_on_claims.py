"""Rightly signed tokens whose claims are missing, of a wrong type, or meant for somebody else."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from common.jwt import Claims

Accept = Callable[[str], Claims]
Refuse = Callable[[str], str]
REQUIRED = ["iss", "aud", "exp", "iat", "sub", "jti", "client_id"]


@pytest.mark.parametrize("claim", REQUIRED, ids=lambda name: f"A36-{name}")
def test_a_required_claim_absent_or_null_is_refused(mint: Any, refuse: Refuse, claim: str) -> None:
    assert refuse(mint.token(claims=mint.claims(**{claim: mint.DROP}))) == "claim"
    assert refuse(mint.token(claims=mint.claims(**{claim: None}))) == "claim"


@pytest.mark.parametrize("claim", [*REQUIRED, "scope", "sid"], ids=lambda name: f"A37-{name}")
def test_a_claim_that_is_empty_or_an_object_is_refused(mint: Any, refuse: Refuse, claim: str) -> None:
    for value in ("", {}, {"a": 1}, []):
        assert refuse(mint.token(claims=mint.claims(**{claim: value}))) == "claim"


@pytest.mark.parametrize(
    "issuer",
    [
        "https://evil.example",
        "https://auth.example/",
        "https://auth.exampl",
        "https://auth.example.evil.example",
        "HTTPS://auth.example",
        "https://Auth.example",
        " https://auth.example",
    ],
    ids=lambda issuer: f"A38-{issuer}",
)
def test_another_issuer_is_refused(mint: Any, refuse: Refuse, issuer: str) -> None:
    assert refuse(mint.token(claims=mint.claims(iss=issuer))) == "issuer"


def test_a_list_of_issuers_is_refused_a38(mint: Any, refuse: Refuse) -> None:
    assert refuse(mint.token(claims=mint.claims(iss=["https://auth.example"]))) == "claim"


@pytest.mark.parametrize(
    "audience",
    [
        pytest.param("nobody", id="A39-wrong"),
        pytest.param("worker", id="A41-worker"),
        pytest.param("api2", id="A39-longer"),
        pytest.param("ap", id="A39-shorter"),
        pytest.param("API", id="A39-case"),
        pytest.param("api auth", id="A39-two-in-one"),
        pytest.param([], id="A39-empty-list"),
        pytest.param(["api", 1], id="A39-number-in-list"),
        pytest.param([1], id="A39-number"),
        pytest.param(["api", "auth", "worker"], id="A40-every-service"),
        pytest.param(["worker"], id="A41-list"),
    ],
)
def test_another_audience_is_refused(mint: Any, refuse: Refuse, audience: object) -> None:
    assert refuse(mint.token(claims=mint.claims(aud=audience))) in {"audience", "claim"}


def test_a_list_of_the_one_audience_is_that_audience(mint: Any, accept: Accept) -> None:
    assert accept(mint.token(claims=mint.claims(aud=["api"]))).aud == "api"


def test_a_service_token_has_no_user_and_a_user_token_has_one_a42(mint: Any, accept: Accept) -> None:
    service = mint.claims(sub="reports", client_id="reports", sid=mint.DROP)
    assert accept(mint.token(claims=service)).user_id is None
    assert accept(mint.token()).user_id == UUID("019e0000-0000-7000-8000-000000000001")


def test_a_subject_that_is_neither_a_user_nor_the_client_is_refused_a42(mint: Any, refuse: Refuse) -> None:
    assert refuse(mint.token(claims=mint.claims(sub="reports", client_id="redprint"))) == "claim"
    assert refuse(mint.token(claims=mint.claims(sub="redprint"))) == "claim"  # a client with a person's session


@pytest.mark.parametrize(
    "sub",
    [
        pytest.param("019e0000-0000-7000-8000-000000000001\0", id="A43-nul"),
        pytest.param("\ud800", id="A43-lone-surrogate"),
        pytest.param(7, id="A43-number"),
        pytest.param("x" * 2000, id="A43-2kB"),
        pytest.param("x" * 20_000, id="A43-20kB"),
        pytest.param("019E0000-0000-7000-8000-000000000001", id="A43-upper-case"),
        pytest.param("{019e0000-0000-7000-8000-000000000001}", id="A43-braces"),
        pytest.param("019e0000000070008000000000000001", id="A43-no-hyphens"),
    ],
)
def test_a_subject_in_another_spelling_is_refused(mint: Any, refuse: Refuse, sub: object) -> None:
    assert refuse(mint.token(claims=mint.claims(sub=sub))) in {"claim", "size"}


@pytest.mark.parametrize(
    "scope",
    [["contacts:read"], {"contacts:read": 1}, 1, " a", "a ", "a  b", "a\tb", 'a"b', "é", "x" * 1025, "a\n"],
    ids=lambda scope: f"A44-{str(scope)[:12]!r}",
)
def test_a_scope_that_is_no_list_of_words_is_refused(mint: Any, refuse: Refuse, scope: object) -> None:
    assert refuse(mint.token(claims=mint.claims(scope=scope))) == "claim"


def test_absent_scope_grants_nothing(mint: Any, accept: Accept) -> None:
    assert accept(mint.token(claims=mint.claims(scope=mint.DROP))).scopes == frozenset()


@pytest.mark.parametrize("claim", ["sub", "exp", "scope"], ids=lambda name: f"A45-{name}")
def test_a_claim_named_twice_is_refused(mint: Any, refuse: Refuse, claim: str) -> None:
    claims = mint.claims()
    for name in (claim, rf"\u{ord(claim[0]):04x}{claim[1:]}"):
        text = f'{json.dumps(claims)[:-1]}, "{name}": {json.dumps(claims[claim])}}}'
        assert refuse(mint.token(claims=text.encode())) == "payload"


def test_a_name_twice_deep_inside_is_refused_a45(mint: Any, refuse: Refuse) -> None:
    text = json.dumps(mint.claims())[:-1] + ', "act": {"sub": 1, "sub": 2}}'
    assert refuse(mint.token(claims=text.encode())) == "payload"


def test_claims_nobody_asked_for_are_ignored(mint: Any, accept: Accept) -> None:
    assert accept(mint.token(claims=mint.claims(amr=["pwd"], tenant=7))).aud == "api"


def test_a_session_id_in_another_spelling_is_refused(mint: Any, refuse: Refuse) -> None:
    for sid in ("x", 7, None, "019E0000-0000-7000-8000-000000000002"):
        assert refuse(mint.token(claims=mint.claims(sid=sid))) == "claim"
