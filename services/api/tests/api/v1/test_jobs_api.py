"""Jobs over HTTP: their owner's, and nobody else's."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from common.db import Database
from common.ids import new_id
from contacts.imports import CONTACTS_IMPORT, ERRORS_FILE, ImportPayload, ImportResult, OnConflict
from contacts.imports.reader import Checkpoint
from jobs.enqueue import enqueue
from jobs.files import FileStore
from jobs.models import Job
from jobs.states import JobState

PATH = "/api/v1/jobs"
User = Any


@pytest.fixture
def add_job(database: Database) -> Callable[..., Job]:
    """Adds a job of a user, with columns as the worker would have set them."""

    def add(owner_id: UUID, **columns: Any) -> Job:
        payload = ImportPayload(file_id=new_id(), mapping={}, on_conflict=OnConflict.SKIP, max_bytes=1)
        with database.write() as session:
            job = enqueue(session, owner_id=owner_id, kind=CONTACTS_IMPORT, payload=payload)
            row = session.get_one(Job, job.id)
            for name, value in columns.items():
                setattr(row, name, value)
            session.commit()
        return row

    return add


def test_a_job_is_shown_as_far_as_it_is(user: User, add_job: Callable[..., Job]) -> None:
    started = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    job = add_job(
        user.id,
        state=JobState.RUNNING,
        attempt=2,
        progress={"done": 10, "total": 40, "unit": "bytes"},
        error={"code": "interrupted", "message": "The worker went away."},
        started_at=started,
    )
    response = user.get(f"{PATH}/{job.id}")
    body = response.get_json()
    assert response.status_code == 200
    assert body == {
        "id": str(job.id),
        "kind": "contacts.import",
        "state": "running",
        "progress": {"done": 10, "total": 40, "unit": "bytes"},
        "attempts": 2,
        "result": None,
        "error": {"code": "interrupted", "message": "The worker went away."},
        "links": {"self": f"{PATH}/{job.id}"} | {name: f"{PATH}/{job.id}/{name}" for name in ("events", "cancel")},
        "cancel_requested_at": None,
        "created_at": body["created_at"],
        "started_at": "2026-03-01T12:00:00Z",
        "finished_at": None,
    }


def test_a_job_that_rejected_rows_leads_to_them(user: User, add_job: Callable[..., Job]) -> None:
    clean = ImportResult(rows=1, created=1).model_dump()
    partly = ImportResult(rows=2, created=1, rejected=1).model_dump()
    links = [
        user.get(f"{PATH}/{add_job(user.id, state=JobState.SUCCEEDED, result=result).id}").get_json()["links"]
        for result in (clean, partly)
    ]
    assert [set(link) for link in links] == [{"self"}, {"self", "errors"}]


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED, JobState.DEAD])
def test_an_import_that_ended_early_shows_what_it_did_and_leads_to_what_it_rejected(
    user: User, add_job: Callable[..., Job], state: JobState
) -> None:
    so_far = ImportResult(rows=5, created=3, rejected=2)
    checkpoint = Checkpoint(offset=9, line=6, result=so_far).model_dump(mode="json")
    job, never_ran = add_job(user.id, state=state, checkpoint=checkpoint), add_job(user.id, state=state)
    shown = user.get(f"{PATH}/{job.id}").get_json()
    assert (shown["state"], shown["result"]) == (state, so_far.model_dump())
    assert shown["links"] == {"self": f"{PATH}/{job.id}", "errors": f"{PATH}/{job.id}/errors"}
    listed = {item["id"]: item for item in user.get(PATH).get_json()["items"]}
    assert listed[str(job.id)] == shown == user.post(f"{PATH}/{job.id}/cancel").get_json()
    assert (listed[str(never_ran.id)]["result"], set(listed[str(never_ran.id)]["links"])) == (None, {"self"})


def test_an_import_that_still_runs_has_no_result(user: User, add_job: Callable[..., Job]) -> None:
    checkpoint = Checkpoint(offset=9, line=6, result=ImportResult(rows=5, rejected=5)).model_dump(mode="json")
    job = add_job(user.id, state=JobState.RUNNING, checkpoint=checkpoint)
    assert user.get(f"{PATH}/{job.id}").get_json()["result"] is None


def test_rejected_rows_are_sent_as_a_csv_file(user: User, add_job: Callable[..., Job], database: Database) -> None:
    job = add_job(user.id, state=JobState.SUCCEEDED)
    rows = "".join(f'Ünï,{line},email,"is not, an ""address"""\r\n' for line in range(2, 20_002))
    content = f"name,line,column,reason\r\n{rows}".encode()
    with database.write() as session:
        for start in range(0, len(content), 300_000):
            FileStore().append(session, job.id, ERRORS_FILE, content[start : start + 300_000], owner_id=user.id)
        session.commit()
    response = user.get(f"{PATH}/{job.id}/errors")
    assert (response.status_code, response.content_type) == (200, "text/csv; charset=utf-8")
    assert response.headers["Content-Disposition"] == f'attachment; filename="errors-{job.id}.csv"'
    read = list(csv.DictReader(io.StringIO(response.text, newline="")))
    assert (len(read), read[-1]["line"], read[-1]["reason"]) == (20_000, "20001", 'is not, an "address"')


def test_a_job_without_rejected_rows_has_no_such_file(user: User, add_job: Callable[..., Job]) -> None:
    response = user.get(f"{PATH}/{add_job(user.id).id}/errors")
    assert (response.status_code, response.get_json()["code"]) == (404, "errors-not-found")


def test_a_queued_job_is_cancelled_at_once_and_again_without_effect(user: User, add_job: Callable[..., Job]) -> None:
    job = add_job(user.id)
    answers = [user.post(f"{PATH}/{job.id}/cancel") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].get_json() == answers[1].get_json()
    assert answers[0].get_json()["state"] == "cancelled"
    assert "cancel" not in answers[0].get_json()["links"]


def test_a_job_that_has_ended_is_not_cancelled(user: User, add_job: Callable[..., Job]) -> None:
    job = add_job(user.id, state=JobState.SUCCEEDED, result={"rows": 0})
    answer = user.post(f"{PATH}/{job.id}/cancel")
    assert (answer.status_code, answer.get_json()["state"]) == (202, "succeeded")


def test_jobs_are_listed_newest_first_in_pages(user: User, add_job: Callable[..., Job]) -> None:
    jobs = [str(add_job(user.id).id) for _ in range(5)]
    add_job(new_id())
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = user.get(f"{PATH}?limit=2{cursor and f'&cursor={cursor}'}").get_json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == jobs[::-1]


def test_another_user_s_job_is_not_there(user: User, new_user: Callable[[], User], add_job: Callable[..., Job]) -> None:
    place, stranger = f"{PATH}/{add_job(user.id).id}", new_user()
    for response in (stranger.get(place), stranger.post(f"{place}/cancel"), stranger.get(f"{place}/errors")):
        assert (response.status_code, response.get_json()["code"]) == (404, "job-not-found")
    assert user.get(place).get_json()["state"] == "queued"
    assert stranger.get(PATH).get_json()["items"] == []
