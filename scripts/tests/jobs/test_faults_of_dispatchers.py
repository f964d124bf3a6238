"""Dispatchers die at any moment, and two of them share a long backlog."""

import base64
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from devtools.drills.jobs.intake import Intake, some_seconds
from devtools.drills.jobs.kinds import NOTHING, Work
from devtools.drills.jobs.plant import STORE, Plant
from devtools.drills.jobs.storm import Storm, kill_one_that_works, revive
from jobs.broker import queue_name
from jobs.enqueue import enqueue

pytestmark = [
    pytest.mark.job_drill,
    pytest.mark.timeout(900),
    pytest.mark.parametrize("database_backend", ["mysql"], indirect=True),
]
Figures = Callable[[str], None]
BACKLOG = 10_000


def test_dispatchers_killed_and_dying_around_any_publish(plant: Plant, seed: int, figures: Figures) -> None:
    """One is killed every 5 s; the other dies by itself between mark and message, or between two messages."""
    plant.add_dispatcher()
    killed = list(plant.dispatchers)
    plant.add_dispatcher(DRILL_DEATH_CHANCE="0.1")
    plant.start(dispatchers=0)
    chance = random.Random(seed)
    storm = Storm(seed).add("kills", (4, 6), kill_one_that_works(killed)).add("looks", (0.5, 1), revive(plant))
    with storm, Intake(lambda: plant.accept(Work(seconds=some_seconds(chance))), 250, 40) as intake:
        pass
    revive(plant)(chance)
    plant.settle(120)
    verdict = plant.judge(intake.accepted)
    deaths = plant.dispatchers[1].starts - 1
    figures(f"{verdict}; {storm.counts['kills']} kills, {deaths} deaths around a publish")
    assert verdict.is_good
    assert deaths > 0
    assert plant.errors_without_job() == []


def test_two_dispatchers_publish_each_of_ten_thousand_jobs_once(plant: Plant, figures: Figures) -> None:
    with plant.store.database.write() as session:
        for _ in range(BACKLOG):
            enqueue(session, owner_id=plant.store.owner_id, kind=NOTHING, payload=Work(steps=0))
        session.commit()
    for _ in range(2):
        plant.add_dispatcher(DISPATCHER_REDISPATCH_SECONDS="60")
    with plant.broker.client() as client:
        queue = queue_name(STORE, "default")
        seconds = plant.wait_until(lambda: client.llen(queue) >= BACKLOG, 120, "everything is published")
        for dispatcher in plant.dispatchers:
            dispatcher.stop(10)
        messages = Counter(job_of(message) for message in client.lrange(queue, 0, -1))
    assert len(messages) == BACKLOG
    once = sum(count == 1 for count in messages.values()) / BACKLOG
    figures(f"{once:.2%} of {BACKLOG} published once, {BACKLOG / seconds:.0f} a second")
    assert once >= 0.999
    assert "Traceback" not in "".join(dispatcher.log() for dispatcher in plant.dispatchers)
    assert plant.errors_without_job() == []


def job_of(message: Any) -> str:
    args, _options, _more = json.loads(base64.b64decode(json.loads(message)["body"]))
    return str(args[1])
