"""People who use the product at a steady rate while something is done to it, and a tally of what they were answered."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle
from threading import Event, Lock, Thread

from devtools.drills.calls import Calls, Tokens
from devtools.drills.connections import Connection
from devtools.live import expect
from devtools.tour.http import Request, Response, send
from devtools.tour.steps import Account, new_account

REFRESH_SECONDS = 3.0
LOG_IN_SECONDS = 15.0
NO_ANSWER = 0


class Tally:
    """What was answered: how often which status to which call, how long it took, and which keys signed."""

    def __init__(self) -> None:
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.seconds: list[float] = []
        self.kids: Counter[str] = Counter()
        self._lock = Lock()

    def note(self, call: str, status: int, seconds: float) -> None:
        """Count an answer."""
        with self._lock:
            self.statuses[call, status] += 1
            self.seconds.append(seconds)

    def note_kid(self, kid: str) -> None:
        """Count a token by the key that signed it."""
        with self._lock:
            self.kids[kid] += 1

    @property
    def wrong(self) -> dict[str, int]:
        """The answers that were not what was asked for, by call and status."""
        return {f"{call} {status}": count for (call, status), count in self.statuses.items() if status != 200}

    @property
    def by_call(self) -> dict[str, int]:
        """How often each call was made."""
        found: Counter[str] = Counter()
        for (call, _), count in self.statuses.items():
            found[call] += count
        return dict(found)


class Crowd:
    """So many people, each with connections of their own; together they make `rate` calls a second."""

    def __init__(self, calls: Calls, people: int, rate: float) -> None:
        self.tally = Tally()
        self._stopping = Event()
        self._threads = [
            Thread(target=Person(calls, self.tally, people / rate, number / people).live, args=[self._stopping])
            for number in range(people)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let everybody finish the call at hand and go."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()


class Person:
    """Reads from auth and api with a token that is a few seconds old, and gets a new one by refresh or login."""

    def __init__(self, calls: Calls, tally: Tally, pause_seconds: float, phase: float) -> None:
        self._calls, self._tally, self._pause_seconds = calls, tally, pause_seconds
        self._auth, self._api = Connection(calls.auth_url), Connection(calls.api_url)
        self._account = _register(calls)
        self._tokens = Tokens.of(expect(200, send(self._account.login())))
        begun = time.monotonic()  # with phases, so that not everybody logs in at once
        self._refresh_at = begun + phase * REFRESH_SECONDS
        self._log_in_at = begun + phase * LOG_IN_SECONDS

    def live(self, stopping: Event) -> None:
        """Call, in step with the clock, until told to stop."""
        reads = cycle([self._read_contacts, self._read_contacts, self._read_me])
        next_at = time.monotonic()
        while not stopping.wait(max(0.0, next_at - time.monotonic())):
            # Who is far behind goes on from now: to catch up would be a load that nobody asked for.
            next_at = max(next_at + self._pause_seconds, time.monotonic() - 1)
            self._act(next(reads))
        self._auth.close()
        self._api.close()

    def _act(self, read: Callable[[], object]) -> None:
        now = time.monotonic()
        if now >= self._log_in_at:
            self._log_in_at = now + LOG_IN_SECONDS
            self._renew("login", self._account.login())
        elif now >= self._refresh_at:
            self._refresh_at = now + REFRESH_SECONDS
            self._renew("refresh", self._calls.refresh(self._tokens.refresh))
        else:
            read()

    def _read_contacts(self) -> None:
        self._call("contacts", self._api, self._calls.contacts(self._tokens.access))

    def _read_me(self) -> None:
        self._call("me", self._auth, self._calls.me(self._tokens.access))

    def _renew(self, call: str, request: Request) -> None:
        response = self._call(call, self._auth, request)
        if response is not None and response.status == 200:
            self._tokens = Tokens.of(response)
            self._tally.note_kid(self._tokens.kid)

    def _call(self, call: str, connection: Connection, request: Request) -> Response | None:
        response: Response | None = None
        begun = time.monotonic()
        with suppress(OSError):
            response = connection.send(request)
        self._tally.note(call, response.status if response else NO_ANSWER, time.monotonic() - begun)
        return response


def _register(calls: Calls) -> Account:
    account = new_account(calls.auth_url)
    expect(202, send(calls.register(account)))
    return account
