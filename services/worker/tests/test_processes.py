"""Worker and dispatcher as they run in production: real processes, a real broker, two stores."""

import json
import os
import re
import signal
import socket
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest
from common.testing.waiting import eventually
from jobs import transitions
from jobs.files import FileStore
from jobs.kinds import job_kind
from jobs.states import JobState, Outcome
from jobs.testing import Numbers, StoreHarness

pytestmark = pytest.mark.slow
on_sqlite = pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)


def wait_for(store: StoreHarness, job_id: Any, state: JobState) -> Any:
    return eventually(lambda: (job := store.job(job_id)).state is state and job)


def ledger(store: StoreHarness, job_id: Any) -> list[int]:
    with store.database.read() as session:
        file = FileStore().find(session, job_id, "ledger.txt")
    assert file is not None
    return [int(line) for line in b"".join(FileStore().read(store.database, file.id)).split()]


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        body: str = answer.read().decode()
    return body


def test_jobs_of_all_stores_run_and_are_measured_logged_and_probed(stack: Any) -> None:
    stack.start()
    ids = {name: store.enqueue(kind="count", count=2) for name, store in stack.stores.items()}
    for name, job_id in ids.items():
        job = wait_for(stack.stores[name], job_id, JobState.SUCCEEDED)
        assert job.result == {"count": 2}
        assert ledger(stack.stores[name], job_id) == [1, 2]
    # Counted a moment after the rows say so.
    eventually(
        lambda: 'job_outcomes_total{kind="count",outcome="succeeded",store="auth"} 1.0' in scrape(stack.worker_port)
    )
    eventually(lambda: 'job_wait_seconds_count{kind="count",store="api"} 1.0' in scrape(stack.worker_port))
    # More than once where the worker takes its time to start.
    eventually(lambda: re.search(r'dispatched_total\{store="api"\} [1-9]', scrape(stack.dispatcher_port)))
    started = [json.loads(line) for line in stack.log("worker").splitlines() if "job_started" in line]
    assert {line["job_id"] for line in started} == {str(job_id) for job_id in ids.values()}
    for alive in ("worker/worker-alive", "dispatcher/dispatcher-alive"):
        assert time.time() - (stack.folder / alive).stat().st_mtime < 10


@on_sqlite
def test_long_jobs_never_take_the_last_process(stack: Any) -> None:
    stack.start()
    store, bulk = stack.stores["api"], job_kind("count-in-bulk", 1, payload=Numbers, queue="bulk")
    long = [store.enqueue(kind=bulk, count=1000) for _ in range(3)]
    running = eventually(lambda: [job_id for job_id in long if store.job(job_id).state is JobState.RUNNING])
    for _ in range(5):
        wait_for(store, store.enqueue(kind="count", count=0), JobState.SUCCEEDED)
    assert [job_id for job_id in long if store.job(job_id).state is JobState.RUNNING] == running
    assert len(running) == 1
    for job_id in long:
        store.transition(transitions.request_cancel, job_id)
        store.transition(transitions.cancel_queued, job_id)
    # The place of a bulk job that has ended is free for the next.
    wait_for(store, running[0], JobState.CANCELLED)
    wait_for(store, store.enqueue(kind=bulk, count=1), JobState.SUCCEEDED)


@on_sqlite
@pytest.mark.parametrize(
    ("stop", "broker", "seconds"),
    [("SIGTERM", "there", 15), pytest.param("SIGINT", "frozen", 45, marks=pytest.mark.drill)],
)
def test_a_stop_hands_running_jobs_back_and_leaves_no_process_and_no_port(
    stack: Any, stop: str, broker: str, seconds: int
) -> None:
    stack.env["WORKER_SOFT_SHUTDOWN_SECONDS"] = "30"
    stack.start()
    store = stack.stores["api"]
    job_id = store.enqueue(kind="count", count=200)
    eventually(lambda: store.job(job_id).checkpoint)
    tree = psutil.Process(stack.worker.pid).children(recursive=True)
    stack.dispatcher.send_signal(signal.Signals[stop])
    assert stack.dispatcher.wait(timeout=15) == 0  # the grace period of its pod
    if broker == "frozen":
        stack.freeze_broker()
        time.sleep(3)  # what the worker wants to say to it meanwhile must not hold up the stop
    stack.worker.send_signal(signal.Signals[stop])
    # A job that checks is handed back at its next step: nobody waits for the end of the window. A broker that does not
    # answer costs some of the time limits of its sockets.
    assert stack.worker.wait(timeout=seconds) == 0
    assert not [process for process in tree if process.is_running()]
    for port in (stack.worker_port, stack.dispatcher_port):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert not (stack.folder / "worker" / "worker-ready").exists()
    job = store.job(job_id)
    assert (job.state, job.attempt, job.crash_count) == (JobState.QUEUED, 0, 0)
    assert store.attempts(job_id)[0].outcome is Outcome.RELEASED


@on_sqlite
def test_a_handler_that_does_not_listen_is_thrown_out_at_the_end_of_the_window(stack: Any) -> None:
    stack.start()
    store = stack.stores["api"]
    job_id = store.enqueue(kind="deaf")
    wait_for(store, job_id, JobState.RUNNING)
    stack.worker.send_signal(signal.SIGTERM)
    assert stack.worker.wait(timeout=15) == 0
    job = store.job(job_id)
    assert (job.attempt, job.crash_count) == (0, 0)
    assert store.attempts(job_id)[0].outcome is Outcome.RELEASED


@on_sqlite
def test_a_job_survives_the_death_of_the_whole_worker_and_of_the_broker(stack: Any) -> None:
    stack.start()
    store = stack.stores["api"]
    job_id = store.enqueue(kind="count", count=30)
    eventually(lambda: store.job(job_id).checkpoint)
    for process in (*psutil.Process(stack.worker.pid).children(recursive=True), stack.worker):
        process.kill()
    stack.kill_broker()
    stack.start_broker()
    stack.start_worker()
    job = wait_for(store, job_id, JobState.SUCCEEDED)
    assert ledger(store, job_id) == list(range(1, 31))
    assert [attempt.outcome for attempt in store.attempts(job_id)] == [Outcome.CRASHED, Outcome.SUCCEEDED]
    assert job.attempt == 1


@on_sqlite
def test_a_worker_outlives_its_broker_even_in_the_middle_of_a_job(stack: Any) -> None:
    stack.start()
    store = stack.stores["api"]
    running = store.enqueue(kind="count", count=25)
    eventually(lambda: store.job(running).checkpoint)
    stack.kill_broker()
    waiting = store.enqueue(kind="count", count=1)
    eventually(lambda: "broker_unavailable" in stack.log("dispatcher"))
    stack.start_broker()
    wait_for(store, running, JobState.SUCCEEDED)
    wait_for(store, waiting, JobState.SUCCEEDED)
    assert [attempt.outcome for attempt in store.attempts(running)] == [Outcome.SUCCEEDED]
    assert stack.worker.is_running()
    assert "Unrecoverable" not in stack.log("worker")


@on_sqlite
@pytest.mark.parametrize("lost_by", ["kill_broker", pytest.param("freeze_broker", marks=pytest.mark.drill)])
def test_a_worker_without_a_broker_is_alive_and_gets_ready_when_there_is_one(stack: Any, lost_by: str) -> None:
    """Probes must not restart it, neither when it starts nor later: what it misses is elsewhere."""
    alive, ready = stack.folder / "worker" / "worker-alive", stack.folder / "worker" / "worker-ready"
    stack.launch_worker()
    eventually(alive.exists)
    assert_touched_again(alive)
    assert not ready.exists()
    stack.start_broker()
    eventually(ready.exists)
    getattr(stack, lost_by)()
    eventually(lambda: "Trying again" in stack.log("worker").split("worker_ready")[-1])
    assert_touched_again(alive)
    assert stack.worker.is_running()


def assert_touched_again(alive: Path) -> None:
    """A broker that does not answer is noticed by the time limits of its sockets, so it may take some seconds."""
    before = alive.stat().st_mtime
    eventually(lambda: alive.stat().st_mtime > before + 5)


@on_sqlite
def test_a_job_that_kills_its_process_dies_after_three_crashes_and_others_go_on(stack: Any) -> None:
    stack.start()
    store = stack.stores["api"]
    poison = store.enqueue(kind="crash")
    others = [store.enqueue(kind="count", count=1) for _ in range(3)]
    for job_id in others:
        wait_for(store, job_id, JobState.SUCCEEDED)
    job = wait_for(store, poison, JobState.DEAD)
    assert (job.crash_count, job.error["code"]) == (3, "worker-crashed")
    assert [attempt.outcome for attempt in store.attempts(poison)] == [Outcome.CRASHED] * 3
    assert stack.worker.is_running()


@on_sqlite
def test_a_handler_that_does_not_listen_is_ended_at_its_hard_limit(stack: Any) -> None:
    stack.start()
    store = stack.stores["api"]
    job_id = store.enqueue(kind="stubborn")
    job = eventually(lambda: (job := store.job(job_id)).error and job)
    assert job.error["code"] == "time-limit"
    assert store.attempts(job_id)[0].outcome is Outcome.RETRIED
    assert (store.attempts(job_id)[0].ended_at - job.started_at).total_seconds() < 2
    other = store.enqueue(kind="count", count=1)
    wait_for(store, other, JobState.SUCCEEDED)
    store.transition(transitions.cancel_queued, job_id)


@on_sqlite
def test_a_frozen_worker_that_wakes_up_writes_nothing_more(stack: Any) -> None:
    stack.start()
    store = stack.stores["api"]
    job_id = store.enqueue(kind="count", count=40)
    eventually(lambda: store.job(job_id).checkpoint)
    tree = [stack.worker, *psutil.Process(stack.worker.pid).children(recursive=True)]
    for process in tree:
        os.kill(process.pid, signal.SIGSTOP)
    lease = eventually(lambda: store.claim(job_id, "another"))
    for process in tree:
        os.kill(process.pid, signal.SIGCONT)
    eventually(lambda: "job_fenced_off" in stack.log("worker"))
    assert store.job(job_id).fence == lease.fence
    assert store.job(job_id).worker == "another"
    steps = store.job(job_id).checkpoint["done"]
    assert ledger(store, job_id) == list(range(1, steps + 1))
