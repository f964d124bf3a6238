"""Accepting a job: the row that is written, what is refused, and what it costs the database."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from common.clock import utc_now
from common.db import Database, run_statement
from common.ids import new_id
from common.testing.statements import recorded, statements
from jobs import enqueue as enqueuing
from jobs import transitions
from jobs.enqueue import AcceptedJob, enqueue
from jobs.errors import IdempotencyKeyRequired, JobNotFound, PayloadTooLarge, TooManyJobs
from jobs.files import FileStore, JobFile
from jobs.kinds import job_kind
from jobs.models import Job
from jobs.states import JobState
from jobs.testing import Numbers, StoreHarness
from jobs.use_cases import get_job
from pydantic import BaseModel
from pymysql import err
from sqlalchemy import Connection, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session


class Blob(BaseModel):
    text: str


BLOB = job_kind("blob", 1, payload=Blob)
on_mysql = pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)


def accept(session: Session | Connection, store: StoreHarness, blob: str = "x", **options: Any) -> AcceptedJob:
    return enqueue(session, owner_id=store.owner_id, kind=BLOB, payload=Blob(text=blob), **options)


def new_file(store: StoreHarness, name: str = "report.csv", job_id: UUID | None = None) -> JobFile:
    made = {"id": new_id(), "owner_id": store.owner_id, "content_type": "text/csv", "created_at": utc_now()}
    return JobFile(**made, name=name, size_bytes=0, job_id=job_id)


def file_names(store: StoreHarness) -> list[str]:
    with store.database.read() as session:
        return sorted(session.scalars(select(JobFile.name)))


def test_a_job_is_accepted_only_by_the_commit(store: StoreHarness) -> None:
    with store.database.write() as session:
        job_id = accept(session, store).id
    with store.database.read() as session, pytest.raises(JobNotFound):
        get_job(session, store.owner_id, job_id)


def test_an_accepted_job_is_queued_and_nothing_has_happened_to_it(store: StoreHarness) -> None:
    job = store.job(store.enqueue(count=7, traceparent="00-a-b-01", request_hash="abc", priority=3))
    set_by_enqueue = {
        "owner_id": store.owner_id,
        "kind": "numbers",
        "kind_version": 1,
        "queue": "default",
        "priority": 3,
        "payload": {"count": 7},
        "request_hash": "abc",
        "state": JobState.QUEUED,
        "max_attempts": 8,
        "traceparent": "00-a-b-01",
    }
    counts = dict.fromkeys(("attempt", "crash_count", "fence", "dispatch_count", "redrive_count"), 0)
    columns = {column.name: getattr(job, column.name) for column in Job.__table__.columns}
    for name in ("id", "run_after", "created_at"):
        columns.pop(name)
    assert columns == dict.fromkeys(columns) | set_by_enqueue | counts


def test_its_times_are_those_of_the_database_and_what_comes_back_is_what_is_stored(store: StoreHarness) -> None:
    before = utc_now()
    with store.database.write() as session:
        job = accept(session, store, delay_seconds=60.5, deadline_seconds=0.25)
        session.commit()
    row = store.job(job.id)
    assert (job.kind, job.created_at) == ("blob", row.created_at)
    assert abs(row.created_at - before) < timedelta(minutes=1)
    assert row.run_after - row.created_at == timedelta(seconds=60.5)
    assert row.deadline_at is not None
    assert row.deadline_at - row.created_at == timedelta(seconds=0.25)
    at_once = store.job(store.enqueue(deadline_seconds=0))
    assert at_once.created_at == at_once.run_after == at_once.deadline_at


@on_mysql
@pytest.mark.parametrize("zone", ["+00:00", "+13:45", "-11:30"])
def test_the_time_zone_of_a_connection_changes_no_time(store: StoreHarness, zone: str) -> None:
    before = utc_now()
    with store.database.write() as session:
        session.execute(text("SET SESSION time_zone = :zone"), {"zone": zone})
        job = accept(session, store)
        session.commit()
        session.execute(text("SET SESSION time_zone = '+00:00'"))
    assert abs(job.created_at - before) < timedelta(minutes=1)
    assert store.job(job.id).created_at == job.created_at


def test_each_of_many_at_once_is_told_its_own_time(store: StoreHarness) -> None:
    def accept_one(number: int) -> tuple[UUID, Any]:
        with store.database.write() as session:
            job = accept(session, store)
            if number % 3:
                session.add(new_file(store))
            session.commit()
            return job.id, job.created_at

    with ThreadPoolExecutor(4) as pool:
        told = dict(pool.map(accept_one, range(60)))
    with store.database.read() as session:
        assert {row.id: row.created_at for row in session.execute(select(Job.id, Job.created_at))} == told


@pytest.mark.parametrize("blob", ["' \" \\ %s %(id)s :id ?", "\x00\x1f\x7f", "Zoë 😀 \u2028", "\\u0041", ""])
def test_the_payload_is_kept_as_it_was(store: StoreHarness, blob: str) -> None:
    with store.database.write() as session:
        job_id = accept(session, store, blob).id
        session.commit()
    assert store.job(job_id).payload == {"text": blob}


def test_a_payload_over_64_kib_is_refused(store: StoreHarness) -> None:
    with store.database.write() as session:
        with pytest.raises(PayloadTooLarge, match="65536 are allowed"):
            accept(session, store, "x" * 65_536)
        largest = "x" * (65_536 - len('{"text":""}'))
        job_id = accept(session, store, largest).id
        session.commit()
    assert store.job(job_id).payload == {"text": largest}


def test_a_payload_of_another_shape_is_a_fault_of_the_caller(store: StoreHarness) -> None:
    with store.database.write() as session, pytest.raises(TypeError, match="blob takes a Blob, not a Numbers"):
        enqueue(session, owner_id=store.owner_id, kind=BLOB, payload=Numbers())


@pytest.mark.parametrize("effects", ["at_least_once", "at_most_once"])
def test_a_kind_with_effects_outside_asks_for_an_idempotency_key(store: StoreHarness, effects: Any) -> None:
    mail = job_kind("mail", 1, payload=Numbers, effects=effects)
    with pytest.raises(IdempotencyKeyRequired, match="kind mail needs an idempotency key"):
        store.enqueue(kind=mail)
    assert store.job(store.enqueue(kind=mail, idempotency_key="once")).kind == "mail"


def test_an_idempotency_key_is_used_once_per_owner_and_kind(store: StoreHarness) -> None:
    store.enqueue(idempotency_key="once")
    with pytest.raises(IntegrityError):
        store.enqueue(idempotency_key="once")
    store.enqueue(idempotency_key="Once")
    store.enqueue(idempotency_key="once", kind="letters")
    store.owner_id = new_id()
    store.enqueue(idempotency_key="once")
    assert store.enqueue() != store.enqueue()


def test_a_used_key_is_told_at_once_and_takes_nothing_else_away(store: StoreHarness) -> None:
    store.enqueue(kind="blob", idempotency_key="once")
    with store.database.write() as session:
        session.add(new_file(store))
        with pytest.raises(IntegrityError):
            accept(session, store, idempotency_key="once")
        session.commit()
    assert (len(store.ids()), file_names(store)) == (1, ["report.csv"])


@pytest.mark.parametrize("commit", [True, False])
def test_business_rows_are_written_with_the_job_whether_they_come_before_or_after(
    store: StoreHarness, *, commit: bool
) -> None:
    with store.database.write() as session:
        session.add(new_file(store, "before"))
        job = accept(session, store, max_unfinished=1)
        session.add(new_file(store, "after", job.id))
        FileStore().append(session, job.id, "written", b"x", owner_id=store.owner_id)
        if commit:
            session.commit()
    assert file_names(store) == (["after", "before", "written"] if commit else [])
    assert store.ids() == ([job.id] if commit else [])


def test_an_owner_has_so_many_unfinished_jobs_at_most(store: StoreHarness) -> None:
    store.start(), store.enqueue(), store.enqueue(max_unfinished=3)
    with pytest.raises(TooManyJobs, match="3 unfinished jobs") as refusal:
        store.enqueue(max_unfinished=3)
    assert refusal.value.retry_after_seconds == 60
    assert store.enqueue(max_unfinished=4)
    assert store.claim(store.enqueue())
    for job_id in store.ids():
        store.transition(transitions.cancel_queued, job_id)
    assert store.enqueue(max_unfinished=3)
    with pytest.raises(TooManyJobs):
        store.enqueue(max_unfinished=3)
    store.owner_id = new_id()
    assert store.enqueue(max_unfinished=1)
    with pytest.raises(TooManyJobs):
        store.enqueue(max_unfinished=0)


def test_the_limit_counts_the_jobs_of_the_same_transaction_and_leaves_it_usable(store: StoreHarness) -> None:
    with store.database.write() as session:
        jobs = [accept(session, store, max_unfinished=2).id for _ in range(2)]
        with pytest.raises(TooManyJobs):
            accept(session, store, max_unfinished=2)
        session.commit()
    assert sorted(store.ids()) == jobs


@on_mysql
def test_requests_at_the_same_moment_do_not_see_each_other(store: StoreHarness) -> None:
    with store.database.write() as first, store.database.write() as second:
        accept(first, store, max_unfinished=1)
        accept(second, store, max_unfinished=1)
        first.commit(), second.commit()
    with pytest.raises(TooManyJobs):
        store.enqueue(max_unfinished=1)


@on_mysql
def test_the_count_waits_for_no_row_and_locks_none(store: StoreHarness) -> None:
    store.enqueue(), store.enqueue()
    everything = update(Job).values(attempt=1, state=JobState.RUNNING)
    with store.database.write() as other, store.database.write() as session:
        other.execute(everything)
        accept(session, store, max_unfinished=10)  # not kept waiting by the other, who has not committed
        other.commit()
        other.execute(everything.where(Job.attempt == 1))  # and keeps nobody waiting until it commits
        other.commit()
        session.commit()
    assert len(store.ids()) == 3


@on_mysql
def test_accepting_takes_one_statement_besides_begin_and_commit(store: StoreHarness, database: Database) -> None:
    database.warm()
    with statements(database) as counted:
        store.enqueue(max_unfinished=10)
    assert counted.kinds == {"begin": 1, "insert_select": 1, "commit": 1}


@on_mysql
@pytest.mark.parametrize("analyzed", [True, False])
def test_unfinished_jobs_are_counted_in_their_index(store: StoreHarness, *, analyzed: bool) -> None:
    with store.database.write() as session:
        for n in range(300):
            store.owner_id = new_id() if n % 150 == 0 else store.owner_id
            accept(session, store)
        session.execute(update(Job).values(state=JobState.SUCCEEDED, finished_at=utc_now()))
        session.commit()
    with recorded(store.database.engine) as sent:
        store.enqueue(max_unfinished=10)
    [(statement, parameters)] = [each for each in sent if each[0].startswith("INSERT")]
    with store.database.write() as session:
        if analyzed:
            session.execute(text("ANALYZE TABLE jobs")).all()
        plan = session.connection().exec_driver_sql(f"EXPLAIN FORMAT=TRADITIONAL {statement}", parameters)
        [counting] = [row for row in plan.mappings() if row["select_type"] == "SUBQUERY"]
    assert (counting["key"], "Using index" in counting["Extra"]) == ("ix_jobs_state_owner_id", True)


def accept_alone(store: StoreHarness, job_id: UUID, **options: Any) -> AcceptedJob:
    return run_statement(store.database, lambda connection: accept(connection, store, job_id=job_id, **options))


def test_a_job_has_the_id_that_was_given(store: StoreHarness) -> None:
    known = new_id()
    assert store.enqueue(job_id=known) == known == store.job(known).id


def test_a_job_that_is_all_there_is_to_write_is_accepted_at_once(store: StoreHarness) -> None:
    job = accept_alone(store, new_id(), max_unfinished=1)
    stored = store.job(job.id)
    assert (stored.state, stored.created_at) == (JobState.QUEUED, job.created_at)
    with pytest.raises(TooManyJobs):
        accept_alone(store, new_id(), max_unfinished=1)


@on_mysql
def test_it_takes_one_round_trip(store: StoreHarness) -> None:
    store.database.warm()
    with statements(store.database) as counted:
        accept_alone(store, new_id(), max_unfinished=10)
    assert counted.kinds == {"insert_select": 1}


@pytest.mark.parametrize("max_unfinished", [None, 1, 2])
def test_accepted_again_with_its_id_a_job_is_the_one_that_is_there(
    store: StoreHarness, max_unfinished: int | None
) -> None:
    """It counts among its owner's, so that the limit may be reached by the very job that is asked for again."""
    first = accept_alone(store, new_id(), max_unfinished=max_unfinished)
    assert accept_alone(store, first.id, max_unfinished=max_unfinished) == first
    with store.database.write() as session:
        session.add(new_file(store))
        assert accept(session, store, job_id=first.id, max_unfinished=max_unfinished) == first
        session.commit()
    assert (store.ids(), file_names(store)) == ([first.id], ["report.csv"])


def test_the_id_of_another_s_job_or_a_used_key_is_no_job_of_one_s_own(store: StoreHarness) -> None:
    first = accept_alone(store, new_id(), idempotency_key="once")
    with pytest.raises(IntegrityError):
        accept_alone(store, new_id(), idempotency_key="once")
    with pytest.raises(IntegrityError):
        store.enqueue(kind="letters", job_id=first.id)
    store.owner_id = new_id()
    with pytest.raises(IntegrityError):
        accept_alone(store, first.id)
    assert store.ids() == [first.id]


@pytest.mark.parametrize("sent", ["not at all", "and done"])
def test_a_job_whose_acceptance_nobody_answered_is_accepted_once(
    store: StoreHarness, monkeypatch: pytest.MonkeyPatch, sent: str
) -> None:
    insert, lost = enqueuing._insert, []  # the statement that is sent

    def send(connection: Connection, values: dict[str, Any]) -> Any:
        written = insert(connection, values) if lost or sent == "and done" else None
        if not lost:
            lost.append(OperationalError("INSERT", {}, err.OperationalError(2013, "Lost connection during query")))
            raise lost[0]
        return written

    monkeypatch.setattr(enqueuing, "_insert", send)
    job = accept_alone(store, new_id(), max_unfinished=1)
    assert (len(lost), store.ids(), store.job(job.id).created_at) == (1, [job.id], job.created_at)
