"""Valkey is away: sessions begin and end, reads and most writes go on, and only what has to be sure says 503."""

import time
from collections.abc import Callable

import pytest
from devtools.drills.calls import Tokens
from devtools.drills.connections import Connection
from devtools.drills.figures import metric, seconds_until, spread, timed
from devtools.drills.product import Product
from devtools.live import expect
from devtools.tour.http import Request, Response, send
from devtools.tour.steps import Account

pytestmark = [
    pytest.mark.drill,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.parametrize("database_backend", ["mysql"], indirect=True),
]

BOUND_SECONDS = 30.0
# What is published at a logout waits 0.5 s twice for a server that does not answer; the rest is the machine's.
WORST_SECONDS = 4.0
BACK_SECONDS = 20.0


class Daily:
    """What people do all day. Each call has to be answered as always; how long each took."""

    def __init__(self, product: Product) -> None:
        self.product, self.calls = product, product.calls
        self.account = product.register()
        self.seconds: list[float] = []

    def do_all(self) -> None:
        other = self.product.register()
        tokens = Tokens.of(self._expect(200, other.login()))
        tokens = Tokens.of(self._expect(200, self.calls.refresh(tokens.refresh)))
        self._expect(200, self.calls.me(tokens.access))
        self._expect(201, self.calls.add_contact(tokens.access))
        self._expect(200, self.calls.contacts(tokens.access))
        # Strict, but auth reads the truth from its own database.
        self._expect(200, self.calls.rename(tokens.access, "Zoë"))
        self._end_sessions(other, tokens)

    def _end_sessions(self, account: Account, tokens: Tokens) -> None:
        second, third = (Tokens.of(self._expect(200, account.login())) for _ in range(2))
        self._expect(204, self.calls.end_session(tokens.access, second.session_id))
        self._expect(401, self.calls.refresh(second.refresh))
        self._expect(204, self.calls.log_out(third.refresh))
        self._expect(204, self.calls.log_out_everywhere(tokens.access))
        self._expect(401, self.calls.refresh(tokens.refresh))

    def _expect(self, status: int, request: Request) -> Response:
        response, seconds = timed(lambda: send(request))
        self.seconds.append(seconds)
        return expect(status, response)


def delete_a_contact(product: Product, api: Connection, access: str) -> Response:
    contact = expect(201, api.send(product.calls.add_contact(access))).json()
    return api.send(product.calls.delete_contact(access, contact["id"]))


def deletes(product: Product, apis: list[Connection], access: str) -> list[int]:
    """What each process of the api answers to a strict call."""
    answers = [delete_a_contact(product, api, access) for api in apis]
    for answer in answers:
        if answer.status == 503:
            assert answer.headers["content-type"] == "application/problem+json"
            assert int(answer.headers["retry-after"]) > 0
            assert "www-authenticate" not in answer.headers
    return [answer.status for answer in answers]


def test_only_strict_routes_of_the_api_wait_for_the_server(product: Product, figures: Callable[[str], None]) -> None:
    apis = product.connect_to_each("api")
    daily = Daily(product)
    access = product.log_in(daily.account).access
    seconds_until(lambda: deletes(product, apis, access) == [204, 204], BACK_SECONDS, "the api is fresh")
    daily.do_all()
    figures(f"with Valkey: {spread(daily.seconds)}")

    daily.seconds.clear()
    ended = product.log_in(daily.account)
    product.valkey.kill()
    away_since = time.monotonic()
    expect(204, send(product.calls.log_out(ended.refresh)))
    while (statuses := deletes(product, apis, access)) != [503, 503]:
        assert time.monotonic() - away_since < BOUND_SECONDS + 15
        assert time.monotonic() - away_since > BOUND_SECONDS - 5 or statuses == [204, 204]
        daily.do_all()
        time.sleep(0.5)
    strict_after = time.monotonic() - away_since
    daily.do_all()
    assert max(daily.seconds) < WORST_SECONDS
    figures(f"Valkey killed: {spread(daily.seconds)}; the api's strict route says 503 after {strict_after:.0f} s")

    product.valkey.start()
    back = seconds_until(lambda: deletes(product, apis, access) == [204, 204], BACK_SECONDS, "the api is fresh again")
    failed = metric(product.auth_metrics, "revocations_published_total", outcome="failed")
    told = metric(product.auth_metrics, "revocations_published_total", outcome="republished")
    assert failed > 0
    seconds_until(
        lambda: [api.send(product.calls.contacts(ended.access)).status for api in apis] == [401, 401],
        BACK_SECONDS,
        "a session that ended meanwhile is refused",
    )
    figures(f"Valkey back: strict again after {back:.1f} s; {failed:.0f} revocations failed, {told:.0f} told again")

    daily.seconds.clear()
    product.valkey.freeze()
    for _ in range(2):
        daily.do_all()
    assert max(daily.seconds) < WORST_SECONDS
    product.valkey.thaw()
    assert deletes(product, apis, access) == [204, 204]
    figures(f"Valkey frozen: {spread(daily.seconds)}")
