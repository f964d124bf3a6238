"""scripts/check-jobs, against services that keep their promise and services that do not."""

import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from devtools.identity.checks import NotKept, Services
from devtools.outage.checks import Accepted, accept_imports, none_has_ended, wait_for_jobs
from devtools.tour.http import Request, Response

API = "http://api"


class Fake:
    """auth and api in one: accepts `accepts` imports, and tells of each job the next of `states`, then the last."""

    def __init__(self, accepts: int = 99, states: tuple[str, ...] = ("queued",)) -> None:
        self.accepts = accepts
        self.states = states
        self.asked: dict[str, int] = {}
        self.made = 0

    def __call__(self, request: Request) -> Response:
        if request.url.endswith("/register"):
            return answer(202)
        if request.url.endswith("/login"):
            return answer(200, {"access_token": "a.b.c", "refresh_token": "r"})
        if request.method == "POST":
            self.made += 1
            return answer(202 if self.made <= self.accepts else 503, location=f"/api/v1/jobs/{self.made}")
        times = self.asked.get(request.url, 0)
        self.asked[request.url] = times + 1
        return answer(200, {"state": self.states[min(times, len(self.states) - 1)]})


def answer(status: int, body: object = None, **headers: str) -> Response:
    return Response(status, headers, json.dumps(body).encode() if body is not None else b"")


def accepted(fake: Fake, count: int = 3) -> Accepted:
    return accept_imports(Services("http://auth", API, fake), API, count, send=fake)[0]


def ticking() -> Callable[[], float]:
    seconds: Iterator[int] = iter(range(1000))
    return lambda: float(next(seconds))


def test_accepted_imports_are_kept_for_their_owner_alone_and_found_again(tmp_path: Path) -> None:
    jobs = accepted(Fake())
    jobs.save(tmp_path / "jobs")
    assert Accepted.load(tmp_path / "jobs") == jobs
    assert jobs.jobs == ("/api/v1/jobs/1", "/api/v1/jobs/2", "/api/v1/jobs/3")
    assert stat.S_IMODE((tmp_path / "jobs").stat().st_mode) == 0o600


def test_the_slowest_answer_is_told() -> None:
    fake = Fake()
    assert accept_imports(Services("http://auth", API, fake), API, 2, send=fake, clock=ticking())[1] == 1


def test_an_import_that_is_not_accepted_is_reported() -> None:
    with pytest.raises(NotKept, match="503, not 202"):
        accepted(Fake(accepts=2))


def test_jobs_that_wait_are_seen_to_wait() -> None:
    none_has_ended(API, Accepted("t", ("/1",)), Fake())


def test_a_job_done_during_the_outage_is_reported() -> None:
    with pytest.raises(NotKept, match="was it"):
        none_has_ended(API, Accepted("t", ("/1",)), Fake(states=("succeeded",)))


def test_jobs_are_asked_about_until_all_have_succeeded() -> None:
    fake, pauses = Fake(states=("queued", "running", "succeeded")), [0.0]
    wait_for_jobs(API, Accepted("t", ("/1", "/2")), 60, send=fake, pause=pauses.append, clock=ticking())
    assert set(fake.asked.values()) == {3}
    assert len(pauses) == 3


def test_jobs_that_stay_where_they_are_are_reported() -> None:
    with pytest.raises(NotKept, match="1 of 1 jobs are not done after 3 s"):
        wait_for_jobs(API, Accepted("t", ("/1",)), 3, send=Fake(), pause=lambda _: None, clock=ticking())


@pytest.mark.parametrize("state", ["failed", "dead", "cancelled"])
def test_a_job_that_ends_otherwise_is_reported(state: str) -> None:
    with pytest.raises(NotKept, match=state):
        wait_for_jobs(API, Accepted("t", ("/1",)), 60, send=Fake(states=(state,)))
