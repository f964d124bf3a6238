"""A job that puts a job into another store: there is exactly one, whatever happens to the first."""

from collections.abc import Callable
from typing import Any

import pytest
from common.db import Database
from common.ids import new_id
from jobs.context import JobContext
from jobs.kinds import job_kind
from jobs.models import Base
from jobs.registry import Registry
from jobs.runner import Runner
from jobs.states import Outcome
from jobs.stores import Stores
from jobs.testing import Numbers, StoreHarness
from sqlalchemy import MetaData

ERASE = job_kind("contacts.erase", 2, payload=Numbers, queue="bulk")
CLOSE = job_kind("accounts.close", 1, payload=Numbers)


@pytest.fixture
def other(make_database: Callable[[MetaData], Database]) -> StoreHarness:
    return StoreHarness(make_database(Base.metadata))


@pytest.fixture
def run(store: StoreHarness, other: StoreHarness) -> Callable[..., Outcome | None]:
    databases = {"auth": store.database, "api": other.database}

    def run(handler: Any, job_id: Any) -> Outcome | None:
        store.change(job_id, run_after=store.job(job_id).created_at)
        stores = Stores({name: name for name in databases}, lambda url: databases[url])
        return Runner(stores, Registry(CLOSE(handler))).run("auth", job_id)

    return run


def test_each_attempt_finds_the_job_the_first_one_put_there(
    store: StoreHarness, other: StoreHarness, run: Callable[..., Outcome | None]
) -> None:
    ids, faults = [], [RuntimeError(), RuntimeError()]

    def close(job: JobContext, payload: Numbers) -> None:
        ids.append(job.relay("api", ERASE, Numbers(count=payload.count)))
        if faults:
            raise faults.pop()

    job_id = store.enqueue(kind=CLOSE, count=7, traceparent="00-a-b-01")
    assert [run(close, job_id) for _ in range(3)] == [Outcome.RETRIED, Outcome.RETRIED, Outcome.SUCCEEDED]
    [relayed] = other.ids()
    assert ids == [relayed] * 3
    job = other.job(relayed)
    assert (job.kind, job.kind_version, job.queue, job.payload) == ("contacts.erase", 2, "bulk", {"count": 7})
    assert (job.owner_id, job.idempotency_key, job.traceparent) == (store.owner_id, f"auth:{job_id}", "00-a-b-01")


def test_one_job_may_relay_several(
    store: StoreHarness, other: StoreHarness, run: Callable[..., Outcome | None]
) -> None:
    def close(job: JobContext, payload: Numbers) -> None:
        for step in ("contacts", "exports", "contacts"):
            job.relay("api", ERASE, Numbers(), step=step, owner_id=new_id() if step == "exports" else job.owner_id)

    assert run(close, store.enqueue(kind=CLOSE)) is Outcome.SUCCEEDED
    assert len(other.ids()) == 2


def test_a_store_that_is_not_served_here_fails_readably(
    store: StoreHarness, run: Callable[..., Outcome | None]
) -> None:
    def close(job: JobContext, payload: Numbers) -> None:
        job.relay("mail", ERASE, Numbers())

    job_id = store.enqueue(kind=CLOSE)
    assert run(close, job_id) is Outcome.FAILED
    assert store.job(job_id).error == {"code": "refused", "message": "This worker has no job store named 'mail'."}
