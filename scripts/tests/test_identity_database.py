"""auth's database is killed or frozen: auth says so, serves what needs none, and recovers; the api goes on."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from statistics import median
from threading import Event

import pytest
from common.db import migrate
from devtools.drills.calls import Tokens
from devtools.drills.figures import seconds_until, spread, timed
from devtools.drills.product import Product
from devtools.live import expect
from devtools.mysql.errors import NoMySQL
from devtools.mysql.find import start
from devtools.mysql.server import OwnServer, url
from devtools.ports import free_port
from devtools.tour.http import Request, Response, send
from devtools.tour.steps import Account

pytestmark = [
    pytest.mark.drill,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.parametrize("database_backend", ["mysql"], indirect=True),
]

# A statement waits 10 s for a server that does not answer, and connecting 2 s; twice that only tells "ended by itself".
WORST_SECONDS = 25.0
BACK_SECONDS = 5.0
FREEZE_SECONDS = 25.0
# Once the statements at hand have run out of time. The kubelet waits 3 s for an answer, and gives up after three.
LIVES_SECONDS = 3.0
PEOPLE = 24  # three for each thread of auth


@pytest.fixture
def database_server(tmp_path: Path) -> Iterator[OwnServer]:
    """A MySQL server that auth has for itself."""
    try:
        server = start(tmp_path / "mysql", free_port(), keep=False)
    except NoMySQL as error:
        pytest.skip(str(error))
    if not isinstance(server, OwnServer):
        server.discard()
        pytest.skip("the MySQL here is a container's, which cannot be frozen")
    yield server
    server.thaw()
    server.discard()


@pytest.fixture
def auth_database(database_server: OwnServer) -> str:
    address = url(database_server.port)
    migrate(address, "auth_service")
    return address


def assert_unavailable(response: Response) -> None:
    assert response.status == 503, response.content
    assert response.headers["content-type"] == "application/problem+json"
    assert int(response.headers["retry-after"]) > 0
    assert response.json()["code"] == "database-unavailable"


class Outage:
    """Calls during an outage, each held to what it has to answer, and how long each kind took."""

    def __init__(self, product: Product, account: Account, tokens: Tokens) -> None:
        self.calls, self.tokens = product.calls, tokens
        self.needing = cycle([account.login(), self.calls.refresh(tokens.refresh), self.calls.me(tokens.access)])
        self.seconds: dict[str, list[float]] = {}

    def ask_all(self) -> None:
        assert_unavailable(self.timed("needing the database", next(self.needing)))
        for request in (self.calls.jwks(), self.calls.metadata(), self.livez()):
            expect(200, self.timed("not needing it", request))
        self.ask_api()

    def ask_api(self) -> None:
        expect(200, self.timed("api", self.calls.contacts(self.tokens.access)))

    def timed(self, kind: str, request: Request) -> Response:
        response, seconds = timed(lambda: send(request, timeout_seconds=60))
        self.seconds.setdefault(kind, []).append(seconds)
        return response

    def readable(self) -> str:
        return "; ".join(f"{kind}: {spread(seconds)}" for kind, seconds in self.seconds.items())

    def livez(self) -> Request:
        return Request("GET", f"{self.calls.auth_url}/livez")


def freeze_under_load(database_server: OwnServer, outage: Outage) -> list[float]:
    """Freeze the server while more people than threads ask for what needs it; return how long each /livez took."""
    stopping = Event()

    def insist() -> None:
        while not stopping.wait(0.1):
            response = send(outage.calls.me(outage.tokens.access), timeout_seconds=60)
            assert response.status in (200, 503), response.content

    with ThreadPoolExecutor(PEOPLE) as people:
        insisting = [people.submit(insist) for _ in range(PEOPLE)]
        time.sleep(1)
        database_server.freeze()
        frozen_until = time.monotonic() + FREEZE_SECONDS
        took = []
        while time.monotonic() < frozen_until:
            response, seconds = timed(lambda: send(outage.livez(), timeout_seconds=60))
            expect(200, response)
            took.append(seconds)
            time.sleep(0.5)
        stopping.set()
    for insisted in insisting:
        insisted.result()
    return took


def seconds_until_served(product: Product, account: Account) -> float:
    """Seconds until a login succeeds; then everything has to, and over and over."""
    seconds = seconds_until(lambda: send(account.login()).status == 200, 60, "a login succeeds again")
    for _ in range(20):
        tokens = product.log_in(account)
        expect(200, send(product.calls.refresh(tokens.refresh)))
        expect(200, send(product.calls.me(tokens.access)))
    return seconds


def test_auth_says_that_its_database_is_away_and_recovers_by_itself(
    product: Product, database_server: OwnServer, figures: Callable[[str], None]
) -> None:
    account = product.register()
    tokens = product.log_in(account)
    pids = product.worker_pids("auth")

    database_server.kill()
    killed = Outage(product, account, tokens)
    for _ in range(9):
        killed.ask_all()
    database_server.restart()
    killed.ask_api()
    back_after_kill = seconds_until_served(product, account)

    database_server.freeze()
    frozen = Outage(product, account, tokens)
    for _ in range(4):
        frozen.ask_all()
    assert max(frozen.seconds["needing the database"]) < WORST_SECONDS
    database_server.thaw()
    back_after_freeze = seconds_until_served(product, account)

    lives = freeze_under_load(database_server, frozen)
    database_server.thaw()
    back_after_load = seconds_until_served(product, account)
    assert median(lives) < LIVES_SECONDS, lives

    assert product.worker_pids("auth") == pids, "a process of auth was restarted"
    figures(f"database killed: {killed.readable()}; login {back_after_kill:.2f} s after it is back")
    figures(f"database frozen: {frozen.readable()}; login {back_after_freeze:.2f} s after it is back")
    figures(
        f"database frozen under {PEOPLE} people for {FREEZE_SECONDS:.0f} s: /livez {spread(lives)}; "
        f"login {back_after_load:.2f} s after it is back"
    )
    assert max(back_after_kill, back_after_freeze, back_after_load) < BACK_SECONDS
