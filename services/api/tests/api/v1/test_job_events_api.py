"""A job's events over HTTP: what they say, when they end, and what they keep hold of."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from api_service import job_events
from api_service.long_answers import EXTENSION, LongAnswers
from common.db import Database
from common.ids import new_id
from common.web.lifecycle import stop_worker
from contacts.exports import CONTACTS_EXPORT, ExportFormat, ExportPayload
from flask import Flask
from jobs.enqueue import enqueue
from jobs.models import Job
from jobs.states import JobState
from sqlalchemy import delete, update

User = Any
Event = dict[str, str]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_events, "POLL_SECONDS", 0.01)


@pytest.fixture
def job_id(user: User, database: Database) -> str:
    payload = ExportPayload(format=ExportFormat.CSV)
    with database.write() as session:
        job = enqueue(session, owner_id=user.id, kind=CONTACTS_EXPORT, payload=payload)
        session.commit()
    return str(job.id)


@pytest.fixture
def change(database: Database, job_id: str) -> Callable[..., None]:
    def change(**columns: Any) -> None:
        with database.write() as session:
            session.execute(update(Job).where(Job.id == UUID(job_id)).values(**columns))
            session.commit()

    return change


def read(user: User, place: str, **headers: str) -> Any:
    """The whole answer, closed at its end as a server does it."""
    return user.get(place, headers={name.replace("_", "-"): text for name, text in headers.items()}, buffered=True)


def pieces(response: Any) -> Iterator[str]:
    return (piece.decode() for piece in response.iter_encoded())


def parse(piece: str) -> Event:
    assert piece.endswith("\n\n")
    return dict(line.split(": ", 1) for line in piece.splitlines() if line)


def jobs_in(text: str) -> list[dict[str, Any]]:
    return [json.loads(parse(part + "\n\n")["data"]) for part in text.split("\n\n") if part.startswith("event: job\n")]


def test_each_change_is_sent_once_until_the_job_has_ended(
    user: User, job_id: str, change: Callable[..., None], app: Flask
) -> None:
    response = user.get(f"/api/v1/jobs/{job_id}/events")
    assert (response.status_code, response.content_type) == (200, "text/event-stream")
    assert (response.headers["Cache-Control"], response.headers["X-Accel-Buffering"]) == ("no-store", "no")
    stream = pieces(response)
    assert parse(next(stream)) == {"retry": str(job_events.RECONNECT_MS)}
    queued = parse(next(stream))
    assert json.loads(queued["data"]) == user.get(f"/api/v1/jobs/{job_id}").get_json()
    change(state=JobState.RUNNING, progress={"done": 1, "total": 2, "unit": "contacts"})
    running = parse(next(stream))
    assert json.loads(running["data"])["progress"] == {"done": 1, "total": 2, "unit": "contacts"}
    assert app.extensions["database"].engine.pool.checkedout() == 0  # nothing is held between two looks
    change(state=JobState.SUCCEEDED, result={"format": "csv", "rows": 2, "bytes": 9})
    done = parse(next(stream))
    assert json.loads(done["data"])["links"]["result"] == f"/api/v1/jobs/{job_id}/result"
    assert list(stream) == []
    assert {queued["event"], running["event"], done["event"]} == {"job"}
    assert len({queued["id"], running["id"], done["id"]}) == 3


def test_a_client_that_has_seen_the_end_is_told_not_to_come_again(
    user: User, job_id: str, change: Callable[..., None]
) -> None:
    change(state=JobState.FAILED)
    place = f"/api/v1/jobs/{job_id}/events"
    last = parse(read(user, place).text.split("\n\n")[1] + "\n\n")["id"]
    assert read(user, place, Last_Event_ID=last).status_code == 204
    for other in ("", "0", "é" * 9000, last.upper() + "x", f"{last},{last}"):
        response = read(user, place, Last_Event_ID=other.encode().decode("latin-1"))
        assert (response.status_code, [job["state"] for job in jobs_in(response.text)]) == (200, ["failed"])


def test_the_id_of_a_job_still_running_changes_nothing(
    user: User, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_events, "STREAM_SECONDS", 0)
    place = f"/api/v1/jobs/{job_id}/events"
    first = read(user, place).text
    last = parse(first.split("\n\n")[1] + "\n\n")["id"]
    assert read(user, place, Last_Event_ID=last).text == first


def test_a_stream_ends_with_its_time_and_is_kept_alive_by_comments(
    user: User, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_events, "STREAM_SECONDS", 0.2)
    monkeypatch.setattr(job_events, "HEARTBEAT_SECONDS", 0)
    text = read(user, f"/api/v1/jobs/{job_id}/events").text
    assert [job["state"] for job in jobs_in(text)] == ["queued"]
    assert ": still there\n\n" in text


def test_a_process_that_is_told_to_end_ends_its_streams(user: User, job_id: str, app: Flask) -> None:
    stream = pieces(user.get(f"/api/v1/jobs/{job_id}/events"))
    assert [next(stream)[:5], next(stream)[:5]] == ["retry", "event"]
    stop_worker(app)
    assert list(stream) == []


def test_a_job_that_is_deleted_ends_the_stream(user: User, job_id: str, database: Database) -> None:
    stream = pieces(user.get(f"/api/v1/jobs/{job_id}/events"))
    assert [next(stream)[:5], next(stream)[:5]] == ["retry", "event"]
    with database.write() as session:
        session.execute(delete(Job).where(Job.id == UUID(job_id)))
        session.commit()
    assert list(stream) == []


def test_half_of_the_threads_stream_and_the_next_client_is_told_to_come_later(
    user: User, job_id: str, app: Flask
) -> None:
    place = f"/api/v1/jobs/{job_id}/events"
    open_streams = [user.get(place) for _ in range(2)]  # of four threads
    refused = user.get(place)
    assert (refused.status_code, refused.get_json()["code"]) == (503, "too-many-streams")
    assert refused.headers["Retry-After"] == "5"
    assert user.get(f"/api/v1/jobs/{new_id()}/events").status_code == 404
    next(pieces(open_streams[0]))  # one has begun, the other has not
    for stream in open_streams:
        stream.close()
        stream.close()
    again = [user.get(place) for _ in range(2)]
    assert [stream.status_code for stream in again] == [200, 200]
    for stream in again:
        stream.close()
    assert user.open("HEAD", place, buffered=True).status_code == 200
    assert app.extensions[EXTENSION]._all == 0


def test_a_process_of_one_thread_streams_nothing(user: User, job_id: str, app: Flask) -> None:
    app.extensions[EXTENSION] = LongAnswers(1)
    assert user.get(f"/api/v1/jobs/{job_id}/events").status_code == 503


def test_events_are_for_the_job_s_owner(user: User, new_user: Any, job_id: str) -> None:
    response = new_user().get(f"/api/v1/jobs/{job_id}/events")
    assert (response.status_code, response.get_json()["code"]) == (404, "job-not-found")
    assert user.get(f"/api/v1/jobs/{job_id}/events", scopes=("jobs:write",)).status_code == 403
