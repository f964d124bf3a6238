"""What an owner can do with their jobs, and that nobody else can."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from common.ids import new_id
from common.testing.statements import recorded
from jobs import transitions
from jobs.errors import JobNotFound
from jobs.models import Job
from jobs.states import JobState
from jobs.testing import StoreHarness
from jobs.use_cases import cancel_job, get_job, list_jobs
from sqlalchemy import text


def cancel(store: StoreHarness, job_id: object) -> Job:
    with store.database.write() as session:
        return cancel_job(session, store.owner_id, job_id)  # type: ignore[arg-type] # tests pass ids only


def test_an_owner_reads_only_own_jobs(store: StoreHarness) -> None:
    job_id = store.enqueue()
    with store.database.read() as session:
        assert get_job(session, store.owner_id, job_id).id == job_id
        with pytest.raises(JobNotFound, match="no job with this id"):
            get_job(session, new_id(), job_id)
        with pytest.raises(JobNotFound):
            get_job(session, store.owner_id, new_id())


def test_the_list_is_newest_first_and_pages_without_gap_or_repeat(store: StoreHarness) -> None:
    ids = [store.enqueue() for _ in range(5)]
    stranger = store.owner_id
    store.owner_id = new_id()
    store.enqueue()
    seen, after = [], None
    with store.database.read() as session:
        while True:
            page, after = list_jobs(session, stranger, 2, after)
            seen += [job.id for job in page]
            if after is None:
                break
    assert seen == ids[::-1]


def test_a_full_last_page_has_no_next_one(store: StoreHarness) -> None:
    store.enqueue(), store.enqueue()
    with store.database.read() as session:
        page, after = list_jobs(session, store.owner_id, 2, None)
        assert (len(page), after) == (2, None)
        assert list_jobs(session, new_id(), 2, None) == ([], None)


def test_a_page_is_one_statement_without_payloads(store: StoreHarness) -> None:
    store.enqueue()
    with recorded(store.database.read_engine) as sent, store.database.read() as session:
        [job], _ = list_jobs(session, store.owner_id, 20, None)
        assert job.progress is None
    [(statement, _)] = sent
    assert "payload" not in statement
    assert "checkpoint" not in statement


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_the_list_is_read_from_its_index_without_sorting(store: StoreHarness) -> None:
    for n in range(30):
        store.owner_id = new_id() if n % 10 == 0 else store.owner_id
        store.enqueue(idempotency_key=f"key-{n}")
    query = "SELECT * FROM jobs WHERE owner_id = :owner ORDER BY owner_id DESC, id DESC LIMIT 21"
    explain = text(f"EXPLAIN FORMAT=TRADITIONAL {query}")
    with store.database.read() as session:
        plan = session.execute(explain, {"owner": store.owner_id.bytes}).mappings().one()
    assert plan["key"] == "ix_jobs_owner_id_id"
    assert "filesort" not in plan["Extra"]


def test_a_queued_job_is_cancelled_at_once_and_never_runs(store: StoreHarness) -> None:
    job_id = store.enqueue()
    job = cancel(store, job_id)
    assert job.state is JobState.CANCELLED
    assert job.finished_at == job.cancel_requested_at
    assert store.claim(job_id) is None


def test_a_running_job_is_asked_to_stop(store: StoreHarness) -> None:
    lease = store.start()
    job = cancel(store, lease.job_id)
    assert (job.state, job.finished_at) == (JobState.RUNNING, None)
    assert job.cancel_requested_at is not None


@pytest.mark.parametrize("running", [False, True])
def test_cancelling_twice_changes_nothing_more(store: StoreHarness, running: bool) -> None:
    job_id = store.start().job_id if running else store.enqueue()
    first, second = cancel(store, job_id), cancel(store, job_id)
    assert (first.state, first.cancel_requested_at) == (second.state, second.cancel_requested_at)


def test_cancelling_a_finished_job_leaves_it_finished(store: StoreHarness) -> None:
    lease = store.start()
    store.transition(transitions.succeed, lease, None)
    job = cancel(store, lease.job_id)
    assert (job.state, job.cancel_requested_at) == (JobState.SUCCEEDED, None)


def test_only_the_owner_cancels(store: StoreHarness) -> None:
    job_id = store.enqueue()
    store.owner_id = new_id()
    with pytest.raises(JobNotFound):
        cancel(store, job_id)
    assert store.job(job_id).state is JobState.QUEUED


def test_cancelling_while_it_finishes_gives_one_final_state(store: StoreHarness) -> None:
    for _ in range(10):
        lease = store.start()
        with ThreadPoolExecutor(2) as pool:
            finish = pool.submit(store.transition, transitions.succeed, lease, {"rows": 1})
            pool.submit(cancel, store, lease.job_id).result()
            assert finish.result()
        assert store.job(lease.job_id).state is JobState.SUCCEEDED
        assert len(store.attempts(lease.job_id)) == 1


def test_cancelling_while_it_is_claimed_either_wins_or_asks(store: StoreHarness) -> None:
    for _ in range(10):
        job_id = store.enqueue()
        with ThreadPoolExecutor(2) as pool:
            claimed = pool.submit(store.claim, job_id)
            job = pool.submit(cancel, store, job_id).result()
            lease = claimed.result()
        assert job.cancel_requested_at is not None
        assert store.job(job_id).state is (JobState.RUNNING if lease else JobState.CANCELLED)
