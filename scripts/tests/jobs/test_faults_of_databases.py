"""The database is killed while jobs come over HTTP and run: no 202 without a job, nothing lost or doubled."""

import time
from collections.abc import Callable

import pytest
from devtools.drills.jobs.door import Door
from devtools.drills.jobs.intake import Intake
from devtools.drills.jobs.plant import Plant
from devtools.mysql.server import OwnServer

pytestmark = [pytest.mark.job_drill, pytest.mark.timeout(900)]


def test_a_database_killed_three_times(
    mortal_plant: Plant,
    open_door: Callable[[Plant], Door],
    database_server: OwnServer,
    figures: Callable[[str], None],
) -> None:
    plant = mortal_plant.start()
    door = open_door(plant)
    with Intake(door.accept, 150, 40) as intake:
        for _ in range(3):
            time.sleep(6)
            database_server.kill()
            time.sleep(3)
            database_server.restart()
    plant.settle(180)
    verdict = plant.judge(intake.accepted)
    figures(f"{verdict}; answers {dict(door.statuses)}, worst {max(door.take_seconds()):.1f} s")
    assert verdict.is_good
    assert door.statuses.keys() <= {202, 503}
    assert (intake.refused, door.statuses[503] > 0) == (0, True)
    assert door.statuses[202] == len(intake.accepted) == verdict.jobs
    assert plant.errors_without_job() == []
