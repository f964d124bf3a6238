"""All faults at the same time; and Celery alone under the same, which has to lose jobs, or the drills prove nothing.

STORM_SECONDS makes the storm longer than its 80 s.
"""

import os
import random
import time
from collections.abc import Callable
from uuid import UUID

import pytest
from devtools.drills.jobs import plain
from devtools.drills.jobs.intake import Intake, some_seconds
from devtools.drills.jobs.kinds import Work
from devtools.drills.jobs.ledger import count_entries, jobs_in_ledger
from devtools.drills.jobs.plant import Plant
from devtools.drills.jobs.storm import (
    Storm,
    empty_the_broker,
    freeze_a_worker,
    kill_one_of,
    kill_one_that_works,
    kill_the_broker,
    kill_the_database,
)
from devtools.mysql.server import OwnServer

STORM_SECONDS = int(os.environ.get("STORM_SECONDS", "80"))
JOBS = STORM_SECONDS * 600 // 80
CONTROL_SECONDS = 40

pytestmark = [pytest.mark.job_drill, pytest.mark.timeout(4 * STORM_SECONDS + 600)]
Figures = Callable[[str], None]


def everything(plant: Plant, server: OwnServer, seed: int) -> Storm:
    # Celery alone does not say when it is ready.
    kill_a_worker = kill_one_that_works(plant.workers) if plant.dispatchers else kill_one_of(plant.workers)
    storm = (
        Storm(seed)
        .add("workers killed", (2, 4), kill_a_worker)
        .add("FLUSHALL", (3, 5), empty_the_broker(plant))
        .add("brokers killed", (8, 12), kill_the_broker(plant, 2))
        .add("databases killed", (10, 15), kill_the_database(server, 3))
        .add("workers frozen", (8, 12), freeze_a_worker(plant))
    )
    return (
        storm.add("dispatchers killed", (4, 6), kill_one_that_works(plant.dispatchers)) if plant.dispatchers else storm
    )


def test_nothing_is_lost_or_doubled(
    mortal_plant: Plant, database_server: OwnServer, seed: int, figures: Figures
) -> None:
    plant, chance = mortal_plant.start(), random.Random(seed)
    load = Intake(lambda: plant.accept(Work(seconds=some_seconds(chance))), JOBS, STORM_SECONDS - 5)
    begun = time.monotonic()
    with everything(plant, database_server, seed) as storm, load as intake:
        time.sleep(max(0, STORM_SECONDS - (time.monotonic() - begun)))
    drained = plant.settle(300)
    verdict = plant.judge(intake.accepted)
    figures(f"{verdict}; {storm}; {intake.refused} refused; drained in {drained:.0f} s")
    assert verdict.is_good
    assert plant.errors_without_job() == []


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_celery_alone_loses_jobs_when_its_broker_forgets(plant: Plant, seed: int, figures: Figures) -> None:
    prepare_control(plant)
    assert count_lost(plant, Storm(seed).add("FLUSHALL", (3, 5), empty_the_broker(plant)), seed, figures) > 0


def test_celery_alone_loses_jobs_under_everything(
    mortal_plant: Plant, database_server: OwnServer, seed: int, figures: Figures
) -> None:
    prepare_control(mortal_plant)
    assert count_lost(mortal_plant, everything(mortal_plant, database_server, seed), seed, figures) > 0


def prepare_control(plant: Plant) -> None:
    """Two workers of two processes, as in the plant."""
    for number in range(2):
        name = f"plain-{number}"
        plant.workers.append(plant.add_program(name, ["-m", "devtools.drills.jobs.plain"]))
    chance = random.Random(0)
    with Intake(plain.sender(plant.broker.url, lambda: some_seconds(chance)), 20, 2) as warm_up:
        pass
    plant.wait_until(lambda: count_entries(plant.store.database) == 20, 120, "Celery alone works without faults")
    assert not lost_of(plant, warm_up)


def count_lost(plant: Plant, storm: Storm, seed: int, figures: Figures) -> int:
    """How many of the jobs that Celery took it never ran, though the faults are over and everybody waited.

    They come faster than four processes can work: what a broker forgets has to wait in it.
    """
    chance = random.Random(seed)
    load = Intake(plain.sender(plant.broker.url, lambda: some_seconds(chance)), 300, CONTROL_SECONDS / 4)
    with storm, load as intake:
        time.sleep(CONTROL_SECONDS)
    entries = -1
    while entries != count_entries(plant.store.database):
        entries = count_entries(plant.store.database)
        time.sleep(3 * plain.VISIBILITY_SECONDS)
    lost = lost_of(plant, intake)
    figures(
        f"{len(intake.accepted)} jobs: {len(lost)} lost, {entries - 20 - len(intake.accepted - lost)} doubled; {storm}"
    )
    return len(lost)


def lost_of(plant: Plant, intake: Intake) -> set[UUID]:
    ran = jobs_in_ledger(plant.store.database)
    return {job_id for job_id in intake.accepted if str(job_id) not in ran}
