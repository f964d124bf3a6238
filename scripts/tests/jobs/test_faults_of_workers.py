"""Workers are killed, frozen and rolled under load: no job is lost, no effect happens twice."""

import random
import time
from collections.abc import Callable

import pytest
from devtools.drills.jobs.intake import LONGEST_SECONDS, Intake, some_seconds
from devtools.drills.jobs.kinds import Work
from devtools.drills.jobs.ledger import count_entries
from devtools.drills.jobs.limits import hold_to
from devtools.drills.jobs.plant import LEASE_SECONDS, SOFT_WINDOW_SECONDS, Plant
from devtools.drills.jobs.storm import Storm, kill_a_busy_worker, kill_a_child, roll_a_worker
from jobs.states import Outcome

pytestmark = [pytest.mark.job_drill, pytest.mark.timeout(900)]
on_mysql = pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
Figures = Callable[[str], None]


def load(plant: Plant, seed: int, jobs: int, seconds: float) -> Intake:
    chance = random.Random(seed)
    return Intake(lambda: plant.accept(Work(seconds=some_seconds(chance))), jobs, seconds)


def test_workers_killed_every_few_seconds(plant: Plant, seed: int, figures: Figures) -> None:
    plant.start(workers=3)
    with Storm(seed).add("kills", (2, 4), kill_a_busy_worker(plant)) as storm, load(plant, seed, 300, 40) as intake:
        pass
    plant.settle(120)
    verdict = plant.judge(intake.accepted)
    figures(f"{verdict}; {storm}")
    assert verdict.is_good
    assert storm.counts["kills"] >= 4
    assert verdict.noticed_seconds <= LEASE_SECONDS + 2 + LONGEST_SECONDS
    assert plant.errors_without_job() == []
    hold_to(LEASE_SECONDS + 5, verdict)


def test_processes_of_workers_killed_under_them(plant: Plant, seed: int, figures: Figures) -> None:
    plant.start()
    parents = [worker.pid for worker in plant.workers]
    with Storm(seed).add("kills", (2, 4), kill_a_child(plant)) as storm, load(plant, seed, 300, 40) as intake:
        pass
    plant.settle(120)
    verdict = plant.judge(intake.accepted)
    figures(f"{verdict}; {storm}")
    assert verdict.is_good
    assert verdict.noticed_seconds <= LEASE_SECONDS + 2 + LONGEST_SECONDS
    assert [worker.pid for worker in plant.workers if worker.is_running] == parents
    assert plant.errors_without_job() == []
    hold_to(LEASE_SECONDS + 5, verdict)


@on_mysql
def test_a_worker_frozen_for_two_leases_changes_nothing_when_it_wakes(plant: Plant, figures: Figures) -> None:
    plant.start()
    accepted = {plant.accept(Work(seconds=0.1, steps=60)) for _ in range(3)}
    plant.wait_until(lambda: count_entries(plant.store.database) > 20, 30, "jobs run")
    for worker in plant.workers:
        worker.freeze()
        time.sleep(2 * LEASE_SECONDS)
        worker.thaw()
    plant.settle(180)
    verdict = plant.judge(accepted)
    fenced_off = sum(worker.log().count('"job_fenced_off"') for worker in plant.workers)
    figures(f"{verdict}; {fenced_off} ends fenced off")
    assert verdict.is_good
    assert fenced_off > 0
    assert plant.errors_without_job() == []


@on_mysql
def test_workers_rolled_under_load(plant: Plant, seed: int, figures: Figures) -> None:
    """Long and short jobs; each stop is over within the grace period and needs no SIGKILL."""
    plant.start()
    stops: list[float] = []
    long = {plant.accept(Work(seconds=0.1, steps=200)) for _ in range(2)}
    roll = Storm(seed).add("stops", (3, 6), roll_a_worker(plant, stops, SOFT_WINDOW_SECONDS + 45))
    with roll as storm, load(plant, seed, 300, 45) as intake:
        pass
    plant.settle(180)
    verdict = plant.judge(intake.accepted | long)
    crashes = sum(attempt.outcome is Outcome.CRASHED for job_id in long for attempt in plant.store.attempts(job_id))
    figures(f"{verdict}, 2 of them long; {storm}, the longest {max(stops):.1f} s")
    assert verdict.is_good
    assert crashes == 0
    assert plant.errors_without_job() == []
