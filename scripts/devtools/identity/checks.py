"""Two promises: a logout is heard by the api, and keys change while clients go on. Each check raises NotKept."""

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from devtools.tour.http import Request, Response, send
from devtools.tour.steps import Account, new_account

# Below the five seconds in which auth publishes again what was lost, so that the push itself is seen to work.
HEARD_WITHIN_SECONDS = 4.0
PAUSE_SECONDS = 0.5

Send = Callable[[Request], Response]


class NotKept(Exception):
    """A service did something else than it promises; the message says what."""


@dataclass(frozen=True)
class Tokens:
    """What a login gave."""

    access: str
    refresh: str

    @property
    def kid(self) -> str:
        """The name of the key that signed the access token."""
        header = self.access.partition(".")[0]
        return str(json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"])


class Services:
    """auth and api at their addresses."""

    def __init__(self, auth_url: str, api_url: str, send: Send = send) -> None:
        self._auth_url = auth_url
        self._api_url = api_url
        self._send = send

    def register(self) -> Account:
        """Make an account."""
        account = new_account(self._auth_url)
        body = {"email": account.email, "password": account.password}
        self._expect(202, Request("POST", f"{self._auth_url}/api/v1/auth/register", body=body))
        return account

    def log_in(self, account: Account) -> Tokens:
        """Begin a session."""
        answer = self._expect(200, account.login())
        return Tokens(answer["access_token"], answer["refresh_token"])

    def log_out(self, tokens: Tokens) -> None:
        """End the session of these tokens."""
        body = {"refresh_token": tokens.refresh}
        self._expect(204, Request("POST", f"{self._auth_url}/api/v1/auth/logout", body=body))

    def is_let_in(self, tokens: Tokens) -> bool:
        """Whether the api takes the access token. Raises NotKept for any answer but 200 and 401."""
        response = self._send(Request("GET", f"{self._api_url}/api/v1/contacts?limit=1", token=tokens.access))
        if response.status not in (200, 401):
            raise NotKept(f"the api answered {response.status}: {response.content[:300]!r}")
        return response.status == 200

    def published_kids(self) -> set[str]:
        """The names of the keys that auth publishes."""
        answer = self._expect(200, Request("GET", f"{self._auth_url}/.well-known/jwks.json"))
        return {key["kid"] for key in answer["keys"]}

    def _expect(self, status: int, request: Request) -> Any:
        response = self._send(request)
        if response.status != status:
            found = f"answered {response.status}, not {status}: {response.content[:300]!r}"
            raise NotKept(f"{request.method} {request.url} {found}")
        return response.json() if response.content else None


def logout_is_heard(services: Services, clock: Callable[[], float] = time.monotonic) -> float:
    """Log in and out; return the seconds until the api refused the access token."""
    tokens = services.log_in(services.register())
    if not services.is_let_in(tokens):
        raise NotKept("the api refused a token that was just made")
    services.log_out(tokens)
    begun = clock()
    while services.is_let_in(tokens):
        if clock() - begun > HEARD_WITHIN_SECONDS:
            raise NotKept(f"the api still takes the access token {HEARD_WITHIN_SECONDS:.0f} s after the logout")
    return clock() - begun


def keys_change(
    services: Services,
    within_seconds: float,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[str, str, int]:
    """Log in again and again until another key signs; return both kids, and how many tokens the api was asked about.

    Every token has to be taken throughout, and the next key has to be published before it signs.
    """
    account = services.register()
    first = services.log_in(account)
    deadline = clock() + within_seconds
    asked = 0
    while True:
        published = services.published_kids()
        newest = services.log_in(account)
        if newest.kid not in published:
            raise NotKept(f"{newest.kid} signs, and was not published before")
        for tokens in (first, newest):
            asked += 1
            if not services.is_let_in(tokens):
                raise NotKept(f"the api refused a good token of the key {tokens.kid}")
        if newest.kid != first.kid:
            return first.kid, newest.kid, asked
        if clock() > deadline:
            raise NotKept(f"after {within_seconds:.0f} s {first.kid} still signs; published: {sorted(published)}")
        pause(PAUSE_SECONDS)
