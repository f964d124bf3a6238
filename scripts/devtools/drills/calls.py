"""The calls that drills make, as descriptions to send in one way or another, and what a login gives."""

import base64
import json
from dataclasses import dataclass

from devtools.tour.http import Request, Response
from devtools.tour.steps import Account


@dataclass(frozen=True)
class Tokens:
    """What a login or a refresh gave."""

    access: str
    refresh: str

    @classmethod
    def of(cls, response: Response) -> "Tokens":
        """Return the tokens of an answer."""
        answer = response.json()
        return cls(answer["access_token"], answer["refresh_token"])

    @property
    def kid(self) -> str:
        """The name of the key that signed the access token."""
        return str(_part(self.access, 0)["kid"])

    @property
    def session_id(self) -> str:
        """The session that the tokens belong to."""
        return str(_part(self.access, 1)["sid"])


@dataclass(frozen=True)
class Calls:
    """The calls to auth and api at their addresses; `access` and `refresh` are tokens."""

    auth_url: str
    api_url: str

    def register(self, account: Account) -> Request:
        body = {"email": account.email, "password": account.password}
        return Request("POST", f"{self.auth_url}/api/v1/auth/register", body=body)

    def refresh(self, refresh: str) -> Request:
        return Request("POST", f"{self.auth_url}/api/v1/auth/refresh", body={"refresh_token": refresh})

    def log_out(self, refresh: str) -> Request:
        return Request("POST", f"{self.auth_url}/api/v1/auth/logout", body={"refresh_token": refresh})

    def log_out_everywhere(self, access: str) -> Request:
        return Request("POST", f"{self.auth_url}/api/v1/auth/logout-all", token=access)

    def me(self, access: str) -> Request:
        return Request("GET", f"{self.auth_url}/api/v1/users/me", token=access)

    def rename(self, access: str, name: str) -> Request:
        return Request("PATCH", f"{self.auth_url}/api/v1/users/me", body={"name": name}, token=access)

    def end_session(self, access: str, session_id: str) -> Request:
        return Request("DELETE", f"{self.auth_url}/api/v1/sessions/{session_id}", token=access)

    def jwks(self) -> Request:
        return Request("GET", f"{self.auth_url}/.well-known/jwks.json")

    def metadata(self) -> Request:
        return Request("GET", f"{self.auth_url}/.well-known/oauth-authorization-server")

    def contacts(self, access: str) -> Request:
        return Request("GET", f"{self.api_url}/api/v1/contacts?limit=5", token=access)

    def add_contact(self, access: str) -> Request:
        return Request("POST", f"{self.api_url}/api/v1/contacts", body={"name": "Zoë"}, token=access)

    def delete_contact(self, access: str, contact_id: str) -> Request:
        return Request("DELETE", f"{self.api_url}/api/v1/contacts/{contact_id}", token=access)


def _part(token: str, position: int) -> dict[str, object]:
    part = token.split(".")[position]
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found
