"""The broker forgets everything or is away: it costs time, never a job, and nobody who asks for a job notices."""

import random
import time
from collections.abc import Callable
from statistics import quantiles

import pytest
from devtools.drills.jobs.door import Door
from devtools.drills.jobs.intake import Intake, some_seconds
from devtools.drills.jobs.kinds import Work
from devtools.drills.jobs.limits import hold_to, hold_to_twice, skip_if_all_wait
from devtools.drills.jobs.plant import REDISPATCH_SECONDS, Plant
from devtools.drills.jobs.storm import Storm, empty_the_broker

pytestmark = [pytest.mark.job_drill, pytest.mark.timeout(900)]
on_mysql = pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
Figures = Callable[[str], None]
POST_SECONDS = 0.05
DRAINED_SECONDS = 30


@on_mysql
def test_a_broker_that_forgets_everything_again_and_again(plant: Plant, seed: int, figures: Figures) -> None:
    plant.start()
    chance = random.Random(seed)
    load = Intake(lambda: plant.accept(Work(seconds=some_seconds(chance))), 300, 40)
    with Storm(seed).add("FLUSHALL", (3, 5), empty_the_broker(plant)) as storm, load as intake:
        pass
    plant.settle(120)
    verdict = plant.judge(intake.accepted)
    figures(f"{verdict}; {storm}")
    assert verdict.is_good
    assert plant.errors_without_job() == []
    hold_to(REDISPATCH_SECONDS + 5, verdict)


@on_mysql
def test_a_broker_that_is_killed_and_one_that_is_frozen(plant: Plant, door: Door, figures: Figures) -> None:
    """Away for 5 s three times, then frozen for 30 s; the api answers all the time as if nothing was."""
    plant.start()
    with Intake(door.accept, 100, 20) as before:
        pass
    plant.settle(120)
    quiet, usual = door.take_seconds(), plant.judge(before.accepted)
    with Intake(door.accept, 300, 60) as intake:
        for _ in range(3):
            plant.broker.kill()
            time.sleep(5)
            plant.broker.start()
            time.sleep(4)
        plant.broker.freeze()
        time.sleep(30)
        plant.broker.thaw()
        returned = time.monotonic()
    plant.settle(120)
    drained, loud = time.monotonic() - returned, door.take_seconds()
    with Intake(door.accept, 100, 20) as after:
        pass
    plant.settle(120)
    quiet_again = door.take_seconds()
    verdict = plant.judge(before.accepted | intake.accepted | after.accepted)
    times = ", ".join(f"{p99(seconds) * 1000:.0f} ms" for seconds in (quiet, loud, quiet_again))
    figures(f"{verdict}; POST p99 before, meanwhile and after: {times}; drained in {drained:.1f} s")
    assert verdict.is_good
    assert (intake.refused, door.statuses.keys()) == (0, {202})
    assert plant.errors_without_job() == []
    if drained > DRAINED_SECONDS:
        skip_if_all_wait(usual)
    assert drained <= DRAINED_SECONDS
    if p99(loud) > POST_SECONDS:
        hold_to_twice(p99(quiet), p99(quiet_again), p99(loud), slack_seconds=0)


def test_a_broker_that_is_down_all_the_time(plant: Plant, door: Door, figures: Figures) -> None:
    plant.broker.kill()
    plant.add_dispatcher()
    with Intake(door.accept, 100, 10) as intake:
        pass
    assert (intake.refused, door.statuses.keys()) == (0, {202})
    assert plant.judge(intake.accepted).unfinished == {str(job_id) for job_id in intake.accepted}
    plant.broker.start()
    plant.start(workers=1, dispatchers=0)
    drained = plant.settle(120)
    verdict = plant.judge(intake.accepted)
    figures(f"{verdict}; drained {drained:.1f} s after the first worker was ready")
    assert verdict.is_good
    assert plant.errors_without_job() == []


def p99(seconds: list[float]) -> float:
    return quantiles(seconds, n=100)[98]
