"""The steps of the first tour, in order; each makes one kind of call and checks what comes back."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from devtools.paths import ROOT, SCRIPTS
from devtools.tour.http import Request, Response, send

SAMPLE = SCRIPTS / "sample-contacts.csv"
FINAL_STATES = {"succeeded", "failed", "dead", "cancelled"}


class TourFailed(Exception):
    """A step did not answer as it should; the message says which one and what came back."""


class Display(Protocol):
    """Shows the tour while it is taken."""

    def step(self, title: str, request: Request) -> None:
        """A step begins with this call."""

    def answer(self, response: Response, summary: str) -> None:
        """It was answered; `summary` says in a few words with what."""

    def progress(self, done: int, total: int | None) -> None:
        """The job has got that far."""


@dataclass(frozen=True)
class Account:
    """The account the tour made, to go on with."""

    email: str
    password: str
    auth_url: str

    def login(self) -> Request:
        """Return the call that logs in."""
        return Request(
            "POST", f"{self.auth_url}/api/v1/auth/login", body={"email": self.email, "password": self.password}
        )


def new_account(auth_url: str) -> Account:
    """Return an account nobody has yet."""
    return Account(f"ada.{secrets.token_hex(4)}@example.com", secrets.token_urlsafe(12), auth_url)


def take_tour(
    display: Display,
    auth_url: str,
    api_url: str,
    job_timeout_seconds: float = 60,
    *,
    file: Path = SAMPLE,
    mapping: str | None = None,
) -> Account:
    """Register, log in, import `file`, watch the job, list, be refused; TourFailed at the first surprise.

    `mapping` is a JSON object from column to field, where the file's columns are named otherwise.
    """
    tour = _Tour(display)
    account = new_account(auth_url)
    body = {"email": account.email, "password": account.password, "name": "Ada"}
    tour.call("Register", Request("POST", f"{auth_url}/api/v1/auth/register", body=body), 202)
    logged_in = tour.call("Log in", account.login(), 200, lambda r: f"a token for {r.json()['expires_in']} s")
    token = str(logged_in.json()["access_token"])
    contacts = f"{api_url}/api/v1/contacts"
    accepted = tour.call(
        "Import a file in the background",
        Request("POST", f"{contacts}/imports", token=token, upload={"file": _short(file)}, form=_form(mapping)),
        202,
        lambda r: f"job at {r.headers['location']}",
    )
    location = accepted.headers["location"]
    tour.watch(Request("GET", _absolute(location, api_url), token=token), job_timeout_seconds)
    tour.call("List contacts", Request("GET", f"{contacts}?limit=3", token=token), 200, _names)
    tour.call("Without a token: refused", Request("GET", contacts), 401, lambda r: str(r.json()["title"]))
    return account


def _short(file: Path) -> Path:
    """The path as seen from the root of the repository, where it is in it."""
    file = file.absolute()
    return file.relative_to(ROOT) if file.is_relative_to(ROOT) else file


def _form(mapping: str | None) -> dict[str, str]:
    return {} if mapping is None else {"mapping": mapping}


def _absolute(location: str, api_url: str) -> str:
    return location if location.startswith("http") else api_url + location


def _names(response: Response) -> str:
    return ", ".join(item["name"] for item in response.json()["items"]) + ", ..."


class _Tour:
    def __init__(self, display: Display) -> None:
        self._display = display

    def call(
        self, title: str, request: Request, status: int, summarise: Callable[[Response], str] = lambda _: ""
    ) -> Response:
        self._display.step(title, request)
        response = _send(title, request, status)
        self._display.answer(response, summarise(response))
        return response

    def watch(self, request: Request, timeout_seconds: float) -> None:
        self._display.step("Watch the job", request)
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            response = _send("Watch the job", request, 200)
            job: dict[str, Any] = response.json()
            progress = job.get("progress") or {}
            self._display.progress(progress.get("done") or 0, progress.get("total"))
            if job["state"] in FINAL_STATES:
                self._finish(response, job)
                return
            time.sleep(0.1)
        raise TourFailed(f"The job is not done after {timeout_seconds:.0f} s")

    def _finish(self, response: Response, job: dict[str, Any]) -> None:
        if job["state"] != "succeeded":
            raise TourFailed(f"The job ended {job['state']}: {response.content.decode(errors='replace')[:500]}")
        result = job["result"]
        self._display.answer(response, f"succeeded: {result['created']} created, {result['rejected']} rejected")


def _send(title: str, request: Request, status: int) -> Response:
    try:
        response = send(_from_root(request))
    except OSError as error:
        raise TourFailed(f"{title}: {request.url} does not answer ({error})") from error
    if response.status != status:
        body = response.content.decode(errors="replace")[:500]
        raise TourFailed(f"{title}: {request.method} {request.url} answered {response.status}, not {status}: {body}")
    return response


def _from_root(request: Request) -> Request:
    """The curl names files as seen from the root of the repository; sending them has to work from anywhere."""
    upload = {name: Path(ROOT / path) for name, path in request.upload.items()}
    return Request(request.method, request.url, request.body, request.token, upload, request.form)
