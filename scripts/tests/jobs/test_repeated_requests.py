"""Clients that ask again with their key, because they got no answer, get one job."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event
from uuid import UUID, uuid4

import pytest
from devtools.drills.jobs.door import Door
from devtools.drills.jobs.ledger import count_jobs
from devtools.drills.jobs.plant import Plant
from devtools.drills.jobs.storm import Storm, kill_one_of

pytestmark = [
    pytest.mark.job_drill,
    pytest.mark.timeout(900),
    pytest.mark.parametrize("database_backend", ["mysql"], indirect=True),
]


def test_fifty_requests_at_once_with_one_key_make_one_job(plant: Plant, door: Door) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: door.ask("same"), range(50)))
    assert {answer.status for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert count_jobs(plant.store.database) == 1
    assert door.ask("same", "ndjson").status == 422


def test_an_api_killed_under_its_clients_makes_one_job_for_each_key(
    plant: Plant, door: Door, seed: int, figures: Callable[[str], None]
) -> None:
    """At any moment, between a commit and its answer too; each client asks again until it is answered."""
    over, asked_again = Event(), []

    def live(_number: int) -> list[tuple[str, UUID]]:
        got = []
        while not over.is_set():
            key = str(uuid4())
            while (job_id := ask(key)) is None:
                asked_again.append(key)
                time.sleep(0.1)
            got.append((key, job_id))
        return got

    def ask(key: str) -> UUID | None:
        with suppress(OSError):
            answer = door.ask(key)
            assert answer.status == 202
            return UUID(answer.json()["id"])
        return None

    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(live, number) for number in range(4)]
        with Storm(seed).add("kills", (3, 5), kill_one_of([plant.find("api")])) as storm:
            time.sleep(35)
        over.set()
        got = [pair for client in clients for pair in client.result()]
    figures(f"{len(got)} keys, asked again {len(asked_again)} times; {storm}; {count_jobs(plant.store.database)} jobs")
    assert asked_again
    assert len({job_id for _, job_id in got}) == len(got) == count_jobs(plant.store.database)
