"""Long jobs beside short ones, in real workers of several sizes, whatever happens to worker and broker."""

import os
import signal
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psutil
import pytest
from common.testing.waiting import eventually
from jobs.files import FileStore
from jobs.kinds import job_kind
from jobs.models import Job
from jobs.states import JobState, Outcome
from jobs.testing import Numbers, StoreHarness
from sqlalchemy import func, select, update

pytestmark = [
    pytest.mark.slow,
    pytest.mark.drill,
    pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True),
]
BULK = job_kind("count-in-bulk", 1, payload=Numbers, queue="bulk")
ENDLESS = 10_000  # steps of 0.1 s
LATE_SECONDS = 5
"""Later than this after it was due, a short job has waited for a long one: those last for longer than a test."""


def start(stack: Any, concurrency: int) -> StoreHarness:
    stack.env["WORKER_CONCURRENCY"] = str(concurrency)
    store: StoreHarness = stack.start().stores["api"]
    return store


def running(store: StoreHarness, kind: str = BULK.name) -> set[UUID]:
    with store.database.read() as session:
        return set(session.scalars(select(Job.id).where(Job.state == JobState.RUNNING, Job.kind == kind)))


def wait_for_all(store: StoreHarness, job_ids: Sequence[UUID]) -> list[Job]:
    ended = select(func.count()).where(Job.id.in_(job_ids), Job.state == JobState.SUCCEEDED)

    def are_done() -> bool:
        with store.database.read() as session:
            return session.scalars(ended).one() == len(job_ids)

    eventually(are_done, seconds=60)
    return [store.job(job_id) for job_id in job_ids]


def short_jobs_start_at_once(store: StoreHarness, count: int = 15) -> None:
    """Accept some, one after the other, and see each start soon."""
    ids = []
    for _ in range(count):
        ids.append(store.enqueue(kind="count", count=0))
        time.sleep(0.1)
    waits = [(job.started_at - job.run_after).total_seconds() for job in wait_for_all(store, ids)]
    assert max(waits) < LATE_SECONDS


def shorten(store: StoreHarness) -> None:
    """No more endless jobs: a step of those that wait, none of those that run."""
    with store.database.write() as session:
        waiting = (Job.state == JobState.QUEUED, Job.kind == BULK.name)
        session.execute(update(Job).where(*waiting).values(payload={"count": 1}))
        ending = (Job.state == JobState.RUNNING, Job.kind == BULK.name)
        session.execute(update(Job).where(*ending).values(cancel_requested_at=Job.created_at))
        session.commit()


def steps_of(store: StoreHarness, job_id: UUID) -> list[int]:
    with store.database.read() as session:
        file = FileStore().find(session, job_id, "ledger.txt")
    assert file is not None
    return [int(line) for line in b"".join(FileStore().read(store.database, file.id)).split()]


def kill_tree(stack: Any) -> None:
    for process in (*psutil.Process(stack.worker.pid).children(recursive=True), stack.worker):
        process.kill()
    stack.worker.wait()
    (stack.folder / "worker" / "worker-ready").unlink()  # what it left behind: the next one is not ready so early


@pytest.mark.parametrize("concurrency", [2, 4])
def test_long_jobs_fill_all_processes_but_one_and_short_ones_never_wait_for_them(stack: Any, concurrency: int) -> None:
    store = start(stack, concurrency)
    long = [store.enqueue(kind=BULK, count=ENDLESS) for _ in range(concurrency + 4)]
    held = eventually(lambda: (now := running(store)) and len(now) == concurrency - 1 and now)
    short_jobs_start_at_once(store)
    assert running(store) == held
    shorten(store)
    wait_for_all(store, [job_id for job_id in long if job_id not in held])


def test_a_worker_with_one_process_runs_both_one_after_the_other(stack: Any) -> None:
    store = start(stack, 1)
    long, short = store.enqueue(kind=BULK, count=10), store.enqueue(kind="count", count=1)
    more = [store.enqueue(kind=kind, count=1) for kind in (BULK, "count") * 10]
    wait_for_all(store, [long, short, *more])


def test_a_flood_of_short_jobs_does_not_starve_the_long_ones(stack: Any) -> None:
    store = start(stack, 2)
    flood = [store.enqueue(kind="count", count=1) for _ in range(150)]
    eventually(lambda: running(store, "count"))
    long = [store.enqueue(kind=BULK, count=1) for _ in range(5)]
    ended = [job.finished_at for job in wait_for_all(store, long)]
    left = sum(store.job(job_id).state is JobState.QUEUED for job_id in flood)
    assert left > 0, "the flood was over before it could hold anything up"
    assert None not in ended
    wait_for_all(store, flood)


def test_a_backlog_of_long_jobs_is_worked_off_though_its_worker_is_killed_in_between(stack: Any) -> None:
    store = start(stack, 4)
    long = [store.enqueue(kind=BULK, count=8) for _ in range(24)]
    for _ in range(2):
        eventually(lambda: len(running(store)) == 3)
        kill_tree(stack)
        stack.start_worker()
        short_jobs_start_at_once(store, count=3)
    for job in wait_for_all(store, long):
        assert steps_of(store, job.id) == list(range(1, 9))
        assert [attempt.outcome for attempt in store.attempts(job.id)][-1] is Outcome.SUCCEEDED
    assert any(store.attempts(job_id)[0].outcome is Outcome.CRASHED for job_id in long)


def test_messages_taken_and_not_claimed_by_a_worker_that_died_come_again(stack: Any) -> None:
    store = start(stack, 4)
    wait_for_all(store, [store.enqueue(kind="count", count=0)])
    for child in psutil.Process(stack.worker.pid).children(recursive=True):
        os.kill(child.pid, signal.SIGSTOP)
    long = [store.enqueue(kind=BULK, count=1) for _ in range(6)]
    eventually(lambda: all(store.job(job_id).dispatched_at for job_id in long))
    time.sleep(1)  # until the worker has taken as many as it may
    kill_tree(stack)
    assert all(store.job(job_id).state is JobState.QUEUED for job_id in long)
    stack.start_worker()
    wait_for_all(store, long)
    assert all(steps_of(store, job_id) == [1] for job_id in long)


def test_a_process_killed_under_a_long_job_leaves_its_place_to_another(stack: Any) -> None:
    store = start(stack, 2)
    long = [store.enqueue(kind=BULK, count=20) for _ in range(3)]
    [first] = eventually(lambda: running(store))
    eventually(lambda: store.job(first).checkpoint)
    pid = int(str(store.job(first).worker).split("-")[-2])
    os.kill(pid, signal.SIGKILL)
    short_jobs_start_at_once(store, count=5)
    for job in wait_for_all(store, long):
        assert steps_of(store, job.id) == list(range(1, 21))
    assert stack.worker.is_running()


def test_long_jobs_that_outlive_their_broker_s_connection_still_count(stack: Any) -> None:
    """Kombu forgets with the connection which messages it had; the processes are busy all the same."""
    store = start(stack, 3)
    long = [store.enqueue(kind=BULK, count=ENDLESS) for _ in range(6)]
    held = eventually(lambda: (now := running(store)) and len(now) == 2 and now)
    stack.kill_broker()
    eventually(lambda: "Trying again" in stack.log("worker"))
    stack.start_broker()
    short_jobs_start_at_once(store)
    time.sleep(3)  # the dispatcher has published again what the broker lost
    assert running(store) == held
    short_jobs_start_at_once(store)
    shorten(store)
    wait_for_all(store, [job_id for job_id in long if job_id not in held])
