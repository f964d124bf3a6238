"""Every attack on tokens, keys and sessions that we know of is tried by a test that carries its number.

A test carries it in its name (`..._a16`) or in the id of a case ("A36-exp", "A36 no exp").
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from devtools.paths import ROOT, package_folders

ATTACKS = (
    "alg 'none' in any spelling, without signature",  # A1
    "the same, with the signature of another algorithm left on",  # A2
    "no alg",  # A3
    "alg that is no text",  # A4
    "HMAC over the public key in PEM",  # A5
    "HMAC over the public key in its other forms",  # A6
    "HMAC over nothing",  # A7
    "the algorithm of another kind of key",  # A8
    "no signature",  # A9
    "a signature of zeros or at the edges of the curve's order",  # A10
    "an ECDSA signature in DER",  # A11
    "a stranger's signature",  # A12
    "header or payload edited afterwards",  # A13
    "padding",  # A14
    "bits set that base64url does not use",  # A15
    "a revoked token with the second form of its signature",  # A16
    "no kid",  # A17
    "an unknown kid",  # A18
    "a kid that is no text",  # A19
    "a kid that goes for files, queries or logs",  # A20
    "the attacker's key in the header",  # A21
    "the address of the attacker's key in the header",  # A22
    "the attacker's certificate in the header",  # A23
    "such headers, rightly signed",  # A24
    "many unknown kids",  # A25
    "many unknown kids while the issuer hangs",  # A26
    "a published set with keys against the policy",  # A27
    "crit",  # A28
    "crit with an extension known elsewhere",  # A29
    "a payload that is not encoded",  # A30
    "another typ, or none",  # A31
    "typ in other spellings that mean the same: accepted",  # A32
    "a member of the header twice",  # A33
    "compression, nesting and encryption",  # A34
    "the JSON serialisations",  # A35
    "a claim missing or null",  # A36
    "a claim empty or an object",  # A37
    "another issuer, or nearly ours",  # A38
    "another audience, or nearly ours",  # A39
    "an audience of every service",  # A40
    "a token for another service",  # A41
    "a service's token where a user's is wanted",  # A42
    "a subject of odd characters, size or type",  # A43
    "a scope that is no text",  # A44
    "a claim twice, also by escapes",  # A45
    "expired",  # A46
    "not valid yet",  # A47
    "issued in the future",  # A48
    "a lifetime of years",  # A49
    "expired before it was issued",  # A50
    "times that are nearly numbers",  # A51
    "numbers that are no times",  # A52
    "expired since it was verified and remembered",  # A53
    "UTF-16 and UTF-32",  # A54
    "a byte order mark",  # A55
    "invalid UTF-8",  # A56
    "a payload that is no object",  # A57
    "deep nesting",  # A58
    "a megabyte",  # A59
    "the other base64 alphabet",  # A60
    "spaces and line ends",  # A61
    "letters and dots that look like ours",  # A62
    "too few or too many segments",  # A63
    "a refresh token as access token, and the reverse",  # A64
    "two Authorization headers, or the token elsewhere",  # A65
    "a one-time token as access token",  # A66
    "a refresh token twice within the grace window: the same successor",  # A67
    "a refresh token after that: the session ends",  # A68
    "another client's refresh token",  # A69
    "a forged refresh token of a real session: refused without harm",  # A70
    "a refresh token after the end of its session",  # A71
    "an access token after the end of its session",  # A72
    "more scope by refreshing",  # A73
)
CASES_OF_SEVERAL_TESTS = ROOT / "libs/common/common/testing/forgeries.py"
_IN_A_NAME = re.compile(r"_a([0-9]+)(?![0-9a-z])")
_IN_AN_ID = re.compile(r"A([0-9]+)[ -]?")


def find_test_files() -> list[Path]:
    return [file for folder in package_folders() for file in sorted(folder.glob("tests/**/test_*.py"))]


def numbers(file: Path) -> Iterator[int]:
    """The attacks that the tests of a file name."""
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.FunctionDef(name=name) if name.startswith("test_"):
                yield from map(int, _IN_A_NAME.findall(name))
            case ast.Constant(value=str(text)) if found := _IN_AN_ID.match(text):
                yield int(found[1])


@pytest.fixture(scope="module")
def tried() -> dict[int, set[str]]:
    """The files that try each attack."""
    found: dict[int, set[str]] = {}
    for file in [*find_test_files(), CASES_OF_SEVERAL_TESTS]:
        for number in numbers(file):
            found.setdefault(number, set()).add(str(file.relative_to(ROOT)))
    return found


def test_every_attack_is_tried(tried: dict[int, set[str]]) -> None:
    assert [f"A{number}: {attack}" for number, attack in enumerate(ATTACKS, 1) if number not in tried] == []


def test_attacks_through_http_are_tried_on_both_services(tried: dict[int, set[str]]) -> None:
    services = ("services/auth/tests/api/v1/test_token_refusals.py", "services/api/tests/api/v1/test_token_refusals.py")
    for service in services:
        assert "FORGERIES.values()" in (ROOT / service).read_text()
    for number in (42, 65, 72):
        assert set(services) <= tried[number], f"A{number}"


def test_a_number_is_read_from_names_and_ids_alone(tmp_path: Path) -> None:
    file = tmp_path / "test_x.py"
    file.write_text('''
"""About A1 and _a2."""
x = ["A3-x", "A4 x", f"A5-{1}", "xA6", "BA7-x"]  # A8
def test_x_a9_a10(): pass
def test_x_a11b(): pass
def helper_a12(): pass
''')
    assert sorted(numbers(file)) == [3, 4, 5, 9, 10]
