"""A promise about jobs: each import is accepted while the broker is away, and runs when it is back."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from devtools.identity.checks import NotKept, Send, Services
from devtools.tour.http import Request, send
from devtools.tour.steps import FINAL_STATES, SAMPLE

PAUSE_SECONDS = 0.2
UNSUCCESSFUL = FINAL_STATES - {"succeeded"}


@dataclass(frozen=True)
class Accepted:
    """Jobs that were accepted, and the access token of their owner."""

    token: str
    jobs: tuple[str, ...]

    def save(self, file: Path) -> None:
        """Keep them for a later run, for their owner's eyes only."""
        file.touch(mode=0o600)
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> "Accepted":
        """Return what was saved."""
        saved = json.loads(file.read_text(encoding="utf-8"))
        return cls(saved["token"], tuple(saved["jobs"]))


def accept_imports(
    services: Services, api_url: str, count: int, send: Send = send, clock: Callable[[], float] = time.monotonic
) -> tuple[Accepted, float]:
    """Import the sample so many times; return the jobs, and the seconds of the slowest answer."""
    tokens = services.log_in(services.register())
    jobs, slowest = [], 0.0
    for _ in range(count):
        begun = clock()
        upload = Request("POST", f"{api_url}/api/v1/contacts/imports", token=tokens.access, upload={"file": SAMPLE})
        response = send(upload)
        slowest = max(slowest, clock() - begun)
        if response.status != 202:
            raise NotKept(f"an import was answered {response.status}, not 202: {response.content[:300]!r}")
        jobs.append(response.headers["location"])
    return Accepted(tokens.access, tuple(jobs)), slowest


def wait_for_jobs(
    api_url: str,
    accepted: Accepted,
    within_seconds: float,
    *,
    send: Send = send,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> float:
    """Wait until all have succeeded; return the seconds it took."""
    begun = clock()
    waiting = set(accepted.jobs)
    while waiting := {job for job in waiting if not _has_succeeded(api_url, job, accepted.token, send)}:
        if clock() - begun > within_seconds:
            raise NotKept(f"{len(waiting)} of {len(accepted.jobs)} jobs are not done after {within_seconds:.0f} s")
        pause(PAUSE_SECONDS)
    return clock() - begun


def none_has_ended(api_url: str, accepted: Accepted, send: Send = send) -> None:
    """Make sure that all of them wait, so that what follows is about jobs that the outage held up."""
    ended = [job for job in accepted.jobs if _has_succeeded(api_url, job, accepted.token, send)]
    if ended:
        raise NotKept(f"{len(ended)} jobs were done although the broker was away: was it?")


def _has_succeeded(api_url: str, job: str, token: str, send: Send) -> bool:
    response = send(Request("GET", job if job.startswith("http") else api_url + job, token=token))
    if response.status != 200:
        raise NotKept(f"{job} was answered {response.status}: {response.content[:300]!r}")
    state = response.json()["state"]
    if state in UNSUCCESSFUL:
        raise NotKept(f"{job} ended {state}: {response.content[:300]!r}")
    return bool(state == "succeeded")
