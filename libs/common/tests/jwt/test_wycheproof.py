"""The public vectors of Project Wycheproof against the inner signature step: keys and a text in, signed bytes or none.

Its keys go through our key policy first. Two things of theirs are not held against them, as they say nothing about
what a signature is worth: their names (ours are thumbprints), and a `use` they leave out.
"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from common.jwt import ES256, RS256, KeyPolicyError, TokenInvalid, VerifyingKey, thumbprint
from common.jwt.jwks import parse_jwks
from common.jwt.signature import verify_signature

FOLDER = Path(__file__).parent / "data" / "wycheproof"
FILES = ("json_web_signature_test", "json_web_key_test", "json_web_crypto_test")
ACCEPTED_ALGORITHMS = {ES256, RS256}

Case = Mapping[str, Any]

# A strict verifier contradicts these eight, each for a reason that a test below shows. All are of algorithms that
# are refused here anyway.
SAME_AS_A_VALID_ONE = {367: 357, 370: 357}  # "invalid", and byte by byte what another case calls valid
HOLDS_A_QUESTION_MARK = (372, 373)  # "valid", with a character that base64url has no meaning for
ANOTHER_ALGORITHM_THAN_THE_KEYS = (346, 347, 350, 351)  # "valid", though the header and the key's `alg` differ
QUIRKS = {*SAME_AS_A_VALID_ONE, *HOLDS_A_QUESTION_MARK, *ANOTHER_ALGORITHM_THAN_THE_KEYS}


def read_groups(name: str) -> list[list[Case]]:
    groups = json.loads((FOLDER / f"{name}.json").read_text())["testGroups"]
    return [
        [{**case, "jwk": group.get("public", group["private"]), "group": group["comment"]} for case in group["tests"]]
        for group in groups
    ]


GROUPS = {name: read_groups(name) for name in FILES}
SIGNATURES = {case["tcId"]: case for group in GROUPS["json_web_signature_test"] for case in group}
EVERY_GROUP = [
    pytest.param(name, group, id=f"{name}-{group[0]['group']}-{group[0]['tcId']}")
    for name, groups in GROUPS.items()
    for group in groups
]


def name_of(jwk: Mapping[str, Any]) -> str:
    """The kid our policy wants; nothing for a key it has to refuse."""
    try:
        return thumbprint(jwk)
    except KeyError:
        return ""


class VectorKeys:
    """The keys of a case under the names the case gives them; raises KeyPolicyError if our policy refuses one."""

    def __init__(self, jwk: Mapping[str, Any]) -> None:
        jwks = jwk.get("keys", [jwk])
        named = [{"use": "sig", **key, "kid": name_of(key)} for key in jwks]
        keys = parse_jwks(json.dumps({"keys": named}).encode())
        self._keys = {key["kid"]: keys[name["kid"]] for key, name in zip(jwks, named, strict=True)}
        if len(self._keys) != len(keys):
            raise KeyPolicyError("two keys share a kid")

    def get(self, kid: str) -> VerifyingKey | None:
        return self._keys.get(kid)


def signed_bytes(case: Case) -> bytes | None:
    """What the signature step finds in a case; None if it is refused."""
    text = case.get("jws", case.get("jwe"))
    try:
        return verify_signature(text if isinstance(text, str) else json.dumps(text), VectorKeys(case["jwk"])).payload
    except (KeyPolicyError, TokenInvalid):
        return None


def algorithm_of(case: Case) -> str | None:
    """The algorithm of the one key of a case."""
    keys = case["jwk"].get("keys", [case["jwk"]])
    return keys[0].get("alg") if len(keys) == 1 else None


def header_of(case: Case) -> Mapping[str, Any]:
    segment = case["jws"].split(".")[0]
    header: Mapping[str, Any] = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return header


def is_acceptable(name: str, number: int, case: Case) -> bool:
    if name == "json_web_signature_test" and number in QUIRKS:
        return False
    return case["result"] == "valid" and algorithm_of(case) in ACCEPTED_ALGORITHMS


@pytest.mark.parametrize(("name", "group"), EVERY_GROUP)
def test_valid_es256_and_rs256_cases_are_accepted_and_all_others_refused(name: str, group: list[Case]) -> None:
    payloads = {case["tcId"]: signed_bytes(case) for case in group}
    assert payloads == {
        case["tcId"]: payload_of(case) if is_acceptable(name, case["tcId"], case) else None for case in group
    }


def payload_of(case: Case) -> bytes:
    segment = case["jws"].split(".")[1]
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def test_there_are_as_many_cases_as_there_should_be_and_as_many_acceptable() -> None:
    acceptable = {
        name: [case["tcId"] for group in groups for case in group if is_acceptable(name, case["tcId"], case)]
        for name, groups in GROUPS.items()
    }
    assert acceptable == {
        "json_web_signature_test": [18, 33, 259, 260, 261, 262, 263, 345, 349, 378],
        "json_web_key_test": [5],
        "json_web_crypto_test": [18, 33],
    }
    assert {name: sum(map(len, groups)) for name, groups in GROUPS.items()} == {
        "json_web_signature_test": 401,
        "json_web_key_test": 26,
        "json_web_crypto_test": 83,
    }


@pytest.mark.parametrize(("number", "twin"), SAME_AS_A_VALID_ONE.items())
def test_a_case_called_invalid_is_the_same_as_a_valid_one(number: int, twin: int) -> None:
    assert (SIGNATURES[number]["result"], SIGNATURES[twin]["result"]) == ("invalid", "valid")
    assert SIGNATURES[number]["jws"] == SIGNATURES[twin]["jws"]
    assert SIGNATURES[number]["jwk"] == SIGNATURES[twin]["jwk"]


@pytest.mark.parametrize("number", HOLDS_A_QUESTION_MARK)
def test_a_case_called_valid_holds_what_base64url_has_not(number: int) -> None:
    assert SIGNATURES[number]["result"] == "valid"
    assert "?" in SIGNATURES[number]["jws"]


@pytest.mark.parametrize("number", ANOTHER_ALGORITHM_THAN_THE_KEYS)
def test_a_case_called_valid_has_another_algorithm_than_its_key(number: int) -> None:
    assert SIGNATURES[number]["result"] == "valid"
    assert header_of(SIGNATURES[number])["alg"] != SIGNATURES[number]["jwk"]["alg"]
