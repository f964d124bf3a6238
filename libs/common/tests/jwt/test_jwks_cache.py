"""The verifier's copy of the published keys, against a server that answers, hangs, lies or is gone."""

import json
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from common.jwt import JWKSCache, KeyPolicyError, SigningKey, TokenInvalid, TokenVerifier, jwks_cache, jwks_document
from common.jwt.jwks_fetch import Fetched
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

UNKNOWN_KID = "A" * 43


@dataclass
class Issuer:
    """What the server answers, and how often it was asked."""

    status: int = 200
    body: bytes = b""
    etag: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None
    hits: int = 0
    not_modified: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/.well-known/jwks.json"

    def publish(self, *keys: SigningKey) -> None:
        self.body = json.dumps(jwks_document(keys)).encode()
        self.etag = f'"{len(self.body)}-{hash(self.body)}"'


class Handler(BaseHTTPRequestHandler):
    issuer: Issuer

    def do_GET(self) -> None:
        issuer = self.issuer
        issuer.hits += 1
        if issuer.hold is not None:
            issuer.hold.wait(10)
        if issuer.etag and self.headers.get("If-None-Match") == issuer.etag:
            issuer.not_modified += 1
            self.send_response(304)
            self.end_headers()
            return
        self.send_response(issuer.status)
        for name, value in {"Content-Length": str(len(issuer.body)), "ETag": issuer.etag, **issuer.headers}.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(issuer.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it overrides
        """Say nothing."""


@pytest.fixture
def issuer(mint: Any) -> Iterator[Issuer]:
    state = Issuer()
    state.publish(mint.key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"issuer": state}))
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    if state.hold is not None:
        state.hold.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def make_cache(issuer: Issuer) -> Iterator[Callable[..., JWKSCache]]:
    made: list[JWKSCache] = []

    def make(**options: Any) -> JWKSCache:
        made.append(JWKSCache(issuer.url, **options))
        return made[-1]

    yield make
    for cache in made:
        cache.close()


def seconds_for(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def await_hits(issuer: Issuer, hits: int) -> None:
    deadline = time.monotonic() + 10
    while issuer.hits < hits and time.monotonic() < deadline:
        time.sleep(0.01)
    assert issuer.hits >= hits


def test_the_keys_are_there_after_warming(make_cache: Callable[..., JWKSCache], mint: Any) -> None:
    cache = make_cache()
    assert not cache.is_loaded
    assert cache.age_seconds is None
    assert cache.warm()
    assert cache.get(mint.key.kid) == mint.key.verifying_key
    assert cache.age_seconds is not None
    assert cache.age_seconds < 5


def test_the_first_token_of_a_cold_cache_waits_for_the_keys(make_cache: Callable[..., JWKSCache], mint: Any) -> None:
    assert make_cache().get(mint.key.kid) == mint.key.verifying_key


def test_nothing_is_asked_before_the_first_use(make_cache: Callable[..., JWKSCache], issuer: Issuer) -> None:
    make_cache()
    assert issuer.hits == 0
    assert "jwks-refresher" not in [thread.name for thread in threading.enumerate()]


def test_an_unchanged_set_is_not_sent_again(make_cache: Callable[..., JWKSCache], issuer: Issuer, mint: Any) -> None:
    cache = make_cache()
    cache.warm()
    assert cache.refresh()
    assert issuer.not_modified == 1
    assert cache.get(mint.key.kid)


def test_the_set_is_asked_for_again_after_the_pause(make_cache: Callable[..., JWKSCache], issuer: Issuer) -> None:
    make_cache(refresh_seconds=0.05).warm()
    deadline = time.monotonic() + 5
    while issuer.hits < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert issuer.hits >= 3


def test_a_thousand_random_kids_cause_one_fetch_and_leave_known_ones_alone_a25(
    make_cache: Callable[..., JWKSCache], issuer: Issuer, mint: Any
) -> None:
    now = 1000.0
    cache = make_cache(monotonic=lambda: now)
    cache.warm()
    now += 10
    for number in range(1000):
        assert cache.get(f"{number:043}") is None
    assert issuer.hits == 2  # the first load, and one for all of them
    assert seconds_for(lambda: cache.get(mint.key.kid)) < 0.4


def test_the_limit_holds_after_failures_too_a25(make_cache: Callable[..., JWKSCache], issuer: Issuer) -> None:
    now = 1000.0
    cache = make_cache(monotonic=lambda: now)
    cache.warm()
    issuer.status = 503
    now += 10
    for number in range(100):
        cache.get(f"{number:043}")
    assert issuer.hits == 2


def test_while_the_issuer_hangs_known_kids_are_instant_and_unknown_ones_wait_half_a_second_together_a26(
    make_cache: Callable[..., JWKSCache], issuer: Issuer, mint: Any
) -> None:
    cache = make_cache(refetch_seconds=0)
    cache.warm()
    issuer.hold = threading.Event()
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda n: seconds_for(lambda: cache.get(f"{n:043}")), range(24)))
    assert max(waits) < 1.8
    assert sum(wait > 0.4 for wait in waits) <= 8  # later ones do not wait for a fetch already half a second old
    assert issuer.hits == 2
    assert seconds_for(lambda: cache.get(mint.key.kid)) < 0.4


def test_while_the_issuer_hangs_a_thousand_random_kids_cause_one_fetch_and_leave_known_ones_alone_a26(
    make_cache: Callable[..., JWKSCache], issuer: Issuer, mint: Any
) -> None:
    passed = 0.0
    cache = make_cache(monotonic=lambda: time.monotonic() + passed)
    cache.warm()
    passed = 10.0
    issuer.hold = threading.Event()
    begun = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        unknown = pool.map(cache.get, (f"{number:043}" for number in range(1000)))
        known = [seconds_for(lambda: cache.get(mint.key.kid)) for _ in range(100)]
        assert set(unknown) == {None}
    assert max(known) < 0.4
    assert time.monotonic() - begun < 5  # half a second for the eight at the front, and nothing for all others
    assert issuer.hits == 2


@pytest.mark.parametrize("kid", ["", "A" * 42, "A" * 44, "../../etc/passwd", "A" * 100_000])
def test_what_is_no_thumbprint_is_never_asked_for(
    make_cache: Callable[..., JWKSCache], issuer: Issuer, kid: str
) -> None:
    cache = make_cache(refetch_seconds=0)
    cache.warm()
    assert cache.get(kid) is None
    assert issuer.hits == 1


def test_a_kid_the_issuer_denied_waits_for_no_refresh_that_others_started(
    make_cache: Callable[..., JWKSCache], issuer: Issuer, mint: Any
) -> None:
    passed = 0.0
    cache = make_cache(monotonic=lambda: time.monotonic() + passed)
    cache.warm()
    passed = 10.0
    assert cache.get(UNKNOWN_KID) is None
    issuer.hold = threading.Event()
    cache.refresh_soon()
    await_hits(issuer, 3)
    assert seconds_for(lambda: cache.get(UNKNOWN_KID)) < 0.4
    assert seconds_for(lambda: cache.get("B" * 43)) > 0.2  # what is not known to be unknown waits
    passed = 25.0
    assert seconds_for(lambda: cache.get(UNKNOWN_KID)) < 0.4  # the refresh began too long ago to be waited for


def test_denied_kids_take_no_more_than_a_bounded_memory(make_cache: Callable[..., JWKSCache], issuer: Issuer) -> None:
    cache = make_cache()
    cache.warm()
    for number in range(3000):
        cache._remember_unknown(f"{number:043}", 1e9)
    assert len(cache._unknown_kids) <= jwks_cache.MAX_UNKNOWN_KIDS
    issuer.etag = None
    assert cache.refresh()
    assert not cache._unknown_kids  # another set may hold them


def test_a_hint_brings_a_new_key_within_about_a_second(
    make_cache: Callable[..., JWKSCache], issuer: Issuer, mint: Any
) -> None:
    cache = make_cache()
    cache.warm()
    issuer.publish(mint.foreign_key)
    cache.refresh_soon()
    await_hits(issuer, 2)
    deadline = time.monotonic() + 5
    while cache.get(mint.foreign_key.kid) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert cache.get(mint.foreign_key.kid)
    assert cache.get(mint.key.kid) is None
    assert issuer.hits == 2


def test_many_hints_are_one_request_a_second_and_never_wait(
    make_cache: Callable[..., JWKSCache], issuer: Issuer
) -> None:
    cache = make_cache()
    begun = time.monotonic()
    cache.warm()
    issuer.hold = threading.Event()
    for _ in range(60):
        assert seconds_for(cache.refresh_soon) < 1  # the request at hand takes longer
        time.sleep(0.02)
    issuer.hold.set()
    await_hits(issuer, 3)  # what was hinted at during a request may not be in its answer
    assert issuer.hits <= 1 + (time.monotonic() - begun) / jwks_cache.HINT_SECONDS


def test_a_hint_before_the_first_use_asks_for_nothing(make_cache: Callable[..., JWKSCache], issuer: Issuer) -> None:
    cache = make_cache()
    cache.refresh_soon()
    assert "jwks-refresher" not in [thread.name for thread in threading.enumerate()]
    assert cache.warm()
    assert issuer.hits == 1


def test_a_bundled_set_serves_until_the_issuer_answers(
    make_cache: Callable[..., JWKSCache], issuer: Issuer, mint: Any
) -> None:
    bundled, issuer.status = issuer.body, 503
    cache = make_cache(bundled=bundled)
    assert cache.is_loaded
    assert cache.warm(timeout_seconds=0)
    assert not cache.refresh()
    assert cache.get(mint.key.kid) == mint.key.verifying_key
    issuer.status = 200
    issuer.publish(mint.foreign_key)
    assert cache.refresh()
    assert cache.get(mint.key.kid) is None


def test_a_bundled_set_that_is_never_confirmed_shows_its_age(
    make_cache: Callable[..., JWKSCache], issuer: Issuer, mint: Any
) -> None:
    """Or the alarms for keys that stay old would be silent until the set is given up, and every token refused."""
    now = 1000.0
    bundled, issuer.status = issuer.body, 503
    cache = make_cache(monotonic=lambda: now, bundled=bundled)
    now += 3600
    assert cache.get(mint.key.kid) == mint.key.verifying_key
    taken_at = REGISTRY.get_sample_value("jwks_confirmed_timestamp_seconds", {"url": issuer.url})
    assert taken_at is not None
    assert abs(time.time() - 3600 - taken_at) < 60


def test_a_bundled_set_is_stale_after_a_day_like_any_other(
    make_cache: Callable[..., JWKSCache], issuer: Issuer, mint: Any
) -> None:
    now = 1000.0
    cache = make_cache(monotonic=lambda: now, bundled=issuer.body)
    issuer.status = 503
    now += 24 * 3600 + 1
    assert cache.is_loaded
    assert not cache.refresh()
    assert cache.get(mint.key.kid) is None
    assert not cache.is_loaded  # or readiness would send good tokens to a service that refuses them all


def test_a_bundled_set_meets_the_key_policy(make_cache: Callable[..., JWKSCache]) -> None:
    with pytest.raises(KeyPolicyError):
        make_cache(bundled=b'{"keys": [{"kty": "oct", "k": "AAAA"}]}')


def test_requests_are_counted_and_the_last_confirmation_is_dated(
    make_cache: Callable[..., JWKSCache], issuer: Issuer
) -> None:
    def counted() -> list[float]:
        names = ("loaded", "unchanged", "failed")
        return [REGISTRY.get_sample_value("jwks_refreshes_total", {"outcome": name}) or 0 for name in names]

    cache = make_cache()
    before = counted()
    assert REGISTRY.get_sample_value("jwks_confirmed_timestamp_seconds", {"url": issuer.url}) is None
    cache.warm()
    assert cache.refresh()
    confirmed_at = REGISTRY.get_sample_value("jwks_confirmed_timestamp_seconds", {"url": issuer.url})
    issuer.status, issuer.etag = 503, None
    assert not cache.refresh()
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [1, 1, 1]
    assert confirmed_at is not None
    assert abs(time.time() - confirmed_at) < 60
    assert REGISTRY.get_sample_value("jwks_confirmed_timestamp_seconds", {"url": issuer.url}) == confirmed_at


def test_a_new_key_is_found_by_the_first_token_that_names_it(
    make_cache: Callable[..., JWKSCache], issuer: Issuer, mint: Any
) -> None:
    cache = make_cache(refetch_seconds=0)
    cache.warm()
    issuer.publish(mint.key, mint.foreign_key)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(cache.get, [mint.foreign_key.kid] * 8))
    assert found == [mint.foreign_key.verifying_key] * 8
    assert issuer.hits == 2


def test_a_kid_asked_for_too_early_is_found_as_soon_as_the_issuer_may_be_asked_again(
    make_cache: Callable[..., JWKSCache], issuer: Issuer, mint: Any
) -> None:
    now = 1000.0
    cache = make_cache(monotonic=lambda: now)
    cache.warm()
    issuer.publish(mint.key, mint.foreign_key)
    now += 9.9
    assert cache.get(mint.foreign_key.kid) is None
    assert issuer.hits == 1
    now += 0.1
    assert cache.get(mint.foreign_key.kid) == mint.foreign_key.verifying_key


def test_a_key_published_after_it_was_asked_for_is_found_the_next_time(
    make_cache: Callable[..., JWKSCache], issuer: Issuer, mint: Any
) -> None:
    """While an issuer is being replaced, one replica signs with a key that another does not publish yet."""
    now = 1000.0
    cache = make_cache(monotonic=lambda: now)
    cache.warm()
    now += 10
    assert cache.get(mint.foreign_key.kid) is None
    issuer.publish(mint.key, mint.foreign_key)
    now += 10
    assert cache.get(mint.foreign_key.kid) == mint.foreign_key.verifying_key


def test_a_withdrawn_key_is_gone_after_a_refresh_from_the_verifiers_memory_too(
    make_cache: Callable[..., JWKSCache], issuer: Issuer, mint: Any, clock: Any
) -> None:
    cache = make_cache()
    verifier = TokenVerifier(cache, "https://auth.example", frozenset({"api"}), clock)
    token = mint.token()
    assert verifier.verify(token)
    issuer.publish(mint.foreign_key)
    assert cache.refresh()
    with pytest.raises(TokenInvalid) as caught:
        verifier.verify(token)
    assert caught.value.reason == "key"


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda issuer: vars(issuer).update(status=500), id="500"),
        pytest.param(lambda issuer: vars(issuer).update(status=404), id="404"),
        pytest.param(lambda issuer: vars(issuer).update(body=b"<html>"), id="html"),
        pytest.param(lambda issuer: vars(issuer).update(body=b'{"keys": []}'), id="no-keys"),
        pytest.param(lambda issuer: vars(issuer).update(body=b'{"keys": [{"kty": "oct"}]}'), id="A27-oct"),
        pytest.param(lambda issuer: vars(issuer).update(body=b" " * 70_000), id="70-kB"),
        pytest.param(
            lambda issuer: vars(issuer).update(headers={"Content-Length": "99999"}, body=b"{}"), id="cut-short"
        ),
    ],
)
def test_a_bad_answer_never_replaces_a_good_set(
    make_cache: Callable[..., JWKSCache], issuer: Issuer, mint: Any, spoil: Callable[[Issuer], None]
) -> None:
    cache = make_cache()
    cache.warm()
    issuer.etag = None
    spoil(issuer)
    with capture_logs() as events:
        assert not cache.refresh()
        assert not cache.refresh()
    assert [event["event"] for event in events] == ["jwks_refresh_failed"]  # once per outage
    assert cache.get(mint.key.kid)


def test_redirects_are_not_followed(make_cache: Callable[..., JWKSCache], issuer: Issuer) -> None:
    issuer.status, issuer.headers = 302, {"Location": issuer.url + "?elsewhere"}
    assert not make_cache().warm(timeout_seconds=0.2)
    assert issuer.hits == 1


def test_a_lost_issuer_is_bridged_for_a_day_and_no_longer(
    make_cache: Callable[..., JWKSCache], issuer: Issuer, mint: Any
) -> None:
    now = 1000.0
    cache = make_cache(monotonic=lambda: now)
    cache.warm()
    issuer.status = 503
    issuer.etag = None
    now += 24 * 3600
    assert not cache.refresh()
    assert cache.get(mint.key.kid)
    now += 1
    assert not cache.refresh()
    assert cache.get(mint.key.kid) is None


def test_an_issuer_that_is_back_after_days_with_the_same_set_is_asked_for_all_of_it(
    make_cache: Callable[..., JWKSCache], issuer: Issuer, mint: Any
) -> None:
    now = 1000.0
    cache = make_cache(monotonic=lambda: now)
    cache.warm()
    tag, issuer.status, issuer.etag = issuer.etag, 503, None
    now += 24 * 3600 + 1
    assert not cache.refresh()
    issuer.status, issuer.etag = 200, tag
    assert cache.refresh()
    assert cache.get(mint.key.kid)


def test_an_issuer_that_starts_after_us_is_found_soon(
    make_cache: Callable[..., JWKSCache], issuer: Issuer, mint: Any
) -> None:
    issuer.status = 503
    cache = make_cache()
    assert not cache.warm(timeout_seconds=0.2)
    issuer.status = 200
    assert cache.warm()
    assert cache.get(mint.key.kid)


def test_a_surprise_in_the_thread_does_not_end_it(
    make_cache: Callable[..., JWKSCache], mint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    cache = make_cache(monotonic=lambda: now)
    cache.warm()
    with capture_logs() as events, monkeypatch.context() as broken:
        broken.setattr("common.jwt.jwks_cache.fetch_document", lambda *_: 1 / 0)
        now += 10
        assert cache.get(UNKNOWN_KID) is None
    assert [event["event"] for event in events] == ["jwks_refresh_crashed", "jwks_refresh_failed"]
    assert cache.get(mint.key.kid)
    now += 10
    assert cache.get(UNKNOWN_KID) is None
    assert cache.age_seconds == 0  # the same thread has asked again


def test_a_thread_that_cannot_be_started_is_tried_again(
    make_cache: Callable[..., JWKSCache], mint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    cache = make_cache()
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            cache.get(mint.key.kid)
    assert cache.warm()


def test_two_refreshes_at_once_end_with_the_newer_set(
    make_cache: Callable[..., JWKSCache], issuer: Issuer, mint: Any
) -> None:
    cache = make_cache()
    old_body, old_etag = issuer.body, issuer.etag
    begun = threading.Barrier(2)
    fetch, answers = jwks_cache.fetch_document, iter([Fetched(old_body, old_etag)])

    def fetch_the_old_set_slowly(*arguments: Any) -> Fetched:
        answer = next(answers, None)
        if answer is None:
            return fetch(*arguments)
        begun.wait(5)
        time.sleep(0.1)
        return answer

    with pytest.MonkeyPatch.context() as slow, ThreadPoolExecutor(1) as pool:
        slow.setattr(jwks_cache, "fetch_document", fetch_the_old_set_slowly)
        first = pool.submit(cache.refresh)
        begun.wait(5)
        issuer.publish(mint.foreign_key)
        assert cache.refresh()
        assert first.result(5)
    assert cache.get(mint.key.kid) is None


def test_a_header_that_names_a_url_causes_no_request_a22(
    make_cache: Callable[..., JWKSCache], issuer: Issuer, mint: Any
) -> None:
    cache = make_cache()
    cache.warm()
    verifier = TokenVerifier(cache, "https://auth.example", frozenset({"api"}))
    for member in ("jku", "x5u"):
        with pytest.raises(TokenInvalid):
            verifier.verify(mint.token(mint.header(**{member: issuer.url}), key=mint.foreign_key))
    assert issuer.hits == 1


def test_after_closing_the_thread_is_gone_and_the_keys_stay(make_cache: Callable[..., JWKSCache], mint: Any) -> None:
    cache = make_cache()
    cache.warm()
    cache.close()
    assert "jwks-refresher" not in [thread.name for thread in threading.enumerate()]
    assert cache.get(mint.key.kid)
    assert cache.get(UNKNOWN_KID) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "auth/jwks.json",
        "file:///etc/passwd",
        "ftp://auth/jwks.json",
        "http://",
        "http://auth:99999/",
        "http://auth:port/",
        "http://[::1/",
        "http://a b/",
        "http://auth/a b",
        "http://auth/\n",
    ],
)
def test_only_http_urls_are_taken(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        JWKSCache(url)


def test_a_forked_process_has_a_refresher_of_its_own(issuer: Issuer, mint: Any) -> None:
    script = textwrap.dedent("""
        import os, sys, threading
        from common.jwt import JWKSCache
        cache = JWKSCache(sys.argv[1])
        assert cache.warm()
        child = os.fork()
        if child == 0:
            assert cache.get("A" * 43) is None
            names = [thread.name for thread in threading.enumerate()]
            os._exit(0 if names.count("jwks-refresher") == 1 else 1)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """)
    done = subprocess.run([sys.executable, "-c", script, issuer.url], capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert issuer.hits == 2  # the parent's, and one by the child
