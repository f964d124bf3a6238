"""An export whose worker is killed again and again: it goes on where it was, and its file has no fault."""

import random
import time
from typing import Any
from uuid import UUID

import psutil
import pytest
from common.testing.waiting import eventually
from contacts.exports import CONTACTS_EXPORT, ExportFormat, ExportPayload
from contacts.testing import Exporter, Importer
from jobs.enqueue import enqueue
from jobs.files import FileStore
from jobs.states import JobState, Outcome
from jobs.testing import StoreHarness

pytestmark = [pytest.mark.slow, pytest.mark.drill]
CONTACTS = 60_000
KILLS = 4


def fill(store: StoreHarness) -> None:
    rows = "".join(f"e{number},Zoë {number},+49 {number}\n" for number in range(CONTACTS))
    result = Importer(store.database, store.owner_id).run(f"external_id,name,phone\n{rows}".encode())
    assert result.created == CONTACTS


def start(store: StoreHarness) -> UUID:
    with store.database.write() as session:
        payload = ExportPayload(format=ExportFormat.CSV)
        job = enqueue(session, owner_id=store.owner_id, kind=CONTACTS_EXPORT, payload=payload)
        session.commit()
        return job.id


def kill_worker(stack: Any) -> None:
    for process in (*psutil.Process(stack.worker.pid).children(recursive=True), stack.worker):
        process.kill()
    stack.worker.wait()


def test_an_export_killed_at_any_instant_goes_on_and_has_every_row_once(stack: Any) -> None:
    chance = random.Random(6)
    store = stack.stores["api"]
    fill(store)
    stack.start()
    job_id, reached = start(store), [0]
    for _ in range(KILLS):
        eventually(lambda: store.job(job_id).progress and store.job(job_id).progress["done"] > reached[-1])
        time.sleep(chance.uniform(0, 0.2))
        kill_worker(stack)
        reached.append(store.job(job_id).progress["done"])
        stack.start_worker()
    job = eventually(lambda: (job := store.job(job_id)).state is JobState.SUCCEEDED and job)
    assert reached[-1] < CONTACTS, "the kills came too late to show anything"
    assert reached == sorted(set(reached))
    assert [attempt.outcome for attempt in store.attempts(job_id)] == [Outcome.CRASHED] * KILLS + [Outcome.SUCCEEDED]
    assert job.progress == {"done": CONTACTS, "total": CONTACTS, "unit": "contacts"}
    with store.database.read() as session:
        file = FileStore().find(session, job_id, "contacts.csv")
    assert file is not None
    in_one_go = Exporter(store.database, store.owner_id)
    in_one_go.run()
    assert b"".join(FileStore().read(store.database, file.id)) == in_one_go.files["contacts.csv"]
