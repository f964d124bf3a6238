"""Texts that are not the one canonical spelling of a token, and sizes meant to cost time."""

import itertools
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from common.jwt import Claims, Refusal, TokenInvalid, TokenVerifier
from structlog.testing import capture_logs

Refuse = Callable[[str], str]


@pytest.mark.parametrize(
    "encoding",
    [
        *(
            pytest.param(f"utf-{name}", id=f"A54-utf-{name}")
            for name in ("16", "16-le", "16-be", "32", "32-le", "32-be")
        ),
        pytest.param("utf-8-sig", id="A55-byte-order-mark"),
    ],
)
def test_another_encoding_than_plain_utf8_is_refused(mint: Any, refuse: Refuse, encoding: str) -> None:
    assert refuse(mint.token(header=json.dumps(mint.header()).encode(encoding))) == "header"
    assert refuse(mint.token(claims=json.dumps(mint.claims()).encode(encoding))) == "payload"


@pytest.mark.parametrize(
    "octets", [b"\xff", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xed\xa0\x80"], ids=lambda octets: f"A56-{octets.hex()}"
)
def test_invalid_or_overlong_utf8_is_refused(mint: Any, refuse: Refuse, octets: bytes) -> None:
    assert refuse(mint.token(claims=json.dumps(mint.claims(x="?")).encode().replace(b"?", octets))) == "payload"
    assert refuse(mint.token(header=b'{"alg":"ES256","kid":"' + octets + b'","typ":"at+jwt"}')) == "header"


@pytest.mark.parametrize(
    "payload", [b"[]", b'"x"', b"null", b"7", b"true", b"{}", b" ", b"{", b"{}{}"], ids=lambda text: f"A57-{text!r}"
)
def test_a_payload_that_is_no_object_of_claims_is_refused(mint: Any, refuse: Refuse, payload: bytes) -> None:
    assert refuse(mint.token(claims=payload)) in {"payload", "claim"}


def test_an_empty_payload_is_refused_a57(mint: Any, refuse: Refuse) -> None:
    header, _, signature = mint.token().split(".")
    assert refuse(f"{header}..{signature}") == "signature"
    assert refuse(mint.token(claims=b"")) == "payload"


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"], ids=lambda constant: f"A52-{constant}")
def test_what_is_no_json_is_refused_also_where_nobody_reads_it(mint: Any, refuse: Refuse, constant: str) -> None:
    text = json.dumps(mint.claims(x=0)).replace('"x": 0', f'"x": [{constant}]')
    assert refuse(mint.token(claims=text.encode())) == "payload"


@pytest.mark.parametrize("depth", [1400, 100_000], ids=lambda depth: f"A58-{depth}")
def test_deep_nesting_is_refused(mint: Any, refuse: Refuse, depth: int) -> None:
    nested = b'{"x":' + b"[" * depth + b"]" * depth + b"}"
    assert refuse(mint.token(header=nested)) in {"header", "size"}
    assert refuse(mint.token(claims=nested)) in {"payload", "claim", "size"}


def test_a_megabyte_is_refused_within_a_millisecond_signed_or_not_a59(
    mint: Any, verify: Callable[[str], Claims], verifier: TokenVerifier
) -> None:
    for token in (mint.token(claims=mint.claims(x="x" * 1_000_000)), "x" * 1_000_000, "ж" * 1_000_000):
        for way in (verify, verifier.verify):
            assert min(seconds_to_refuse(way, token) for _ in range(5)) < 0.001


def seconds_to_refuse(verify: Callable[[str], Claims], token: str) -> float:
    begun = time.perf_counter()
    with pytest.raises(TokenInvalid) as caught:
        verify(token)
    assert caught.value.reason is Refusal.SIZE
    return time.perf_counter() - begun


def test_the_longest_token_accepted_has_4096_characters(
    mint: Any, accept: Callable[[str], Claims], refuse: Refuse
) -> None:
    def padded(filling: int) -> str:
        return str(mint.token(claims=mint.claims(x="x" * filling)))

    filling = next(n for n in range(2000, 4000) if len(padded(n)) >= 4093)
    assert accept(padded(filling))
    assert refuse(padded(filling + 6)) == "size"


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda token: token.replace("-", "+").replace("_", "/") + "+/", id="A60-alphabet"),
        pytest.param(lambda token: " " + token, id="A61-leading-space"),
        pytest.param(lambda token: token + "\n", id="A61-trailing-newline"),
        pytest.param(lambda token: token[:100] + "\n" + token[100:], id="A61-inner-newline"),
        pytest.param(lambda token: token[:100] + " " + token[100:], id="A61-inner-space"),
        pytest.param(lambda token: "\u0435" + token[1:], id="A62-cyrillic"),
        pytest.param(lambda token: token.replace(".", "\uff0e"), id="A62-full-width-dots"),
        pytest.param(lambda token: token + "\ud800", id="A62-lone-surrogate"),
        pytest.param(lambda token: token.replace(".", ".\ud800", 1), id="A62-lone-surrogate-inside"),
        pytest.param(lambda token: token.rpartition(".")[0], id="A63-two-segments"),
        pytest.param(lambda token: token + ".AAAA", id="A63-four-segments"),
        pytest.param(lambda token: "." * 4096, id="A63-only-dots"),
        pytest.param(lambda token: "", id="A63-zero-segments"),
        pytest.param(lambda token: "..", id="A63-empty-segments"),
        pytest.param(lambda token: "Bearer " + token, id="A63-bearer-bearer"),
    ],
)
def test_another_spelling_is_refused(mint: Any, refuse: Refuse, spoil: Callable[[str], str]) -> None:
    assert refuse(spoil(mint.token())) in {"encoding", "header", "size"}


@pytest.mark.parametrize("segment", [1, 2], ids=["A60-payload", "A60-signature"])
def test_the_same_bytes_in_the_other_alphabet_are_refused(mint: Any, refuse: Refuse, segment: int) -> None:
    tokens = (mint.token(claims=mint.claims(x=">?~" * number)).split(".") for number in itertools.count(3))
    segments = next(segments for segments in tokens if set(segments[segment][:-1]) & {"-", "_"})
    segments[segment] = segments[segment][:-1].replace("-", "+").replace("_", "/") + segments[segment][-1]
    assert refuse(".".join(segments)) == "encoding"


@pytest.mark.parametrize("filling", ["\n\n\n\n", "    ", "====", "!!!!"], ids=lambda filling: f"A61-{filling!r}")
@pytest.mark.parametrize("segment", [0, 1, 2])
def test_characters_that_lenient_decoders_skip_are_refused(
    mint: Any, refuse: Refuse, segment: int, filling: str
) -> None:
    segments = mint.token().split(".")
    segments[segment] = segments[segment][:8] + filling + segments[segment][8:]
    assert refuse(".".join(segments)) in {"encoding", "header"}


@pytest.mark.parametrize("value", [None, b"bytes", 7, ["x"]], ids=lambda value: type(value).__name__)
def test_what_is_no_text_is_refused(refuse: Refuse, value: Any) -> None:
    assert refuse(value) == "size"


def test_a_surprise_inside_refuses_the_token_and_is_logged(
    mint: Any,
    verify: Callable[[str], Claims],
    verifier: TokenVerifier,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("common.jwt.verifier.verify_signature", lambda *_: 1 / 0)
    for way in (verify, verifier.verify):
        with capture_logs() as events, pytest.raises(TokenInvalid) as caught:
            way(mint.token())
        assert caught.value.reason is Refusal.UNEXPECTED
        assert [event["event"] for event in events] == ["token_check_failed"]
