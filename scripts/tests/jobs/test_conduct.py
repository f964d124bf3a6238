"""What jobs, clocks, releases and purges do to each other while real workers run them."""

from collections.abc import Callable
from statistics import quantiles
from uuid import UUID

import pytest
from devtools.drills.jobs.door import Door
from devtools.drills.jobs.intake import Intake
from devtools.drills.jobs.kinds import NEXT_WORK, POISON, Work, WorkOfTomorrow
from devtools.drills.jobs.ledger import count_jobs, end_to_end_seconds, fill_with_old_jobs, has_ended_jobs
from devtools.drills.jobs.limits import hold_to_twice
from devtools.drills.jobs.plant import HEARTBEAT_SECONDS, LEASE_SECONDS, Plant
from jobs import transitions
from jobs.states import JobState, Outcome

pytestmark = [
    pytest.mark.job_drill,
    pytest.mark.timeout(900),
    pytest.mark.parametrize("database_backend", ["mysql"], indirect=True),
]
Figures = Callable[[str], None]
PURGED = 100_000


def test_jobs_that_kill_their_process_die_and_cost_the_others_little(plant: Plant, figures: Figures) -> None:
    plant.start()
    warm = work_steadily(plant)  # a process connects and imports with its first jobs
    before = work_steadily(plant)
    poison = [plant.accept(Work(steps=0), POISON) for _ in range(3)]
    beside = work_steadily(plant)
    after = work_steadily(plant)
    quiet, loud, quiet_again = (p95_latency(plant, accepted) for accepted in (before, beside, after))
    figures(
        f"p95 from accepted to finished {quiet:.2f} s before, {loud:.2f} s beside three poison jobs, "
        f"{quiet_again:.2f} s after"
    )
    for job_id in poison:
        assert (plant.store.job(job_id).state, plant.store.job(job_id).crash_count) == (JobState.DEAD, 3)
    verdict = plant.judge(warm | before | beside | after)
    assert (verdict.lost, verdict.doubled) == (frozenset(), frozenset())
    assert verdict.failed == {str(job_id) for job_id in poison}
    assert plant.errors_without_job() == []
    # A new process takes its time on a small machine.
    hold_to_twice(quiet, quiet_again, loud, slack_seconds=0.2)


def work_steadily(plant: Plant) -> set[UUID]:
    """Jobs that leave a machine of two cores idle half the time, until they are finished, poison included."""
    with Intake(lambda: plant.accept(Work(seconds=0.05)), 100, 20) as intake:
        pass
    plant.settle(120)
    return intake.accepted


def p95_latency(plant: Plant, accepted: set[UUID]) -> float:
    return quantiles([end_to_end_seconds(plant.store.job(job_id)) for job_id in accepted], n=20)[18]


def test_running_jobs_stop_within_a_heartbeat_of_their_cancel(plant: Plant, figures: Figures) -> None:
    plant.start()
    seconds = []
    for _ in range(6):
        job_id = plant.accept(Work(seconds=0.05, steps=10_000))
        plant.wait_until(lambda job_id=job_id: plant.store.job(job_id).checkpoint, 30, "the job runs")  # type: ignore[misc]
        assert plant.store.transition(transitions.request_cancel, job_id)
        plant.wait_until(lambda job_id=job_id: plant.store.job(job_id).state.is_final, 30, "it stops")  # type: ignore[misc]
        job = plant.store.job(job_id)
        assert job.state is JobState.CANCELLED
        assert job.finished_at
        assert job.cancel_requested_at
        seconds.append((job.finished_at - job.cancel_requested_at).total_seconds())
    figures(f"longest {max(seconds):.1f} s with a heartbeat each {HEARTBEAT_SECONDS:.1f} s")
    assert max(seconds) <= HEARTBEAT_SECONDS + 1


def test_workers_whose_clocks_are_wrong_lose_no_lease(plant: Plant, figures: Figures) -> None:
    """Ten minutes ahead and ten behind, with jobs of more than a lease: the database's clock is the only one."""
    plant.add_dispatcher()
    for ahead in ("600", "-600"):
        plant.add_worker(DRILL_CLOCK_SECONDS=ahead)
    plant.wait_until_ready()
    accepted = {plant.accept(Work(seconds=0.1, steps=15 * LEASE_SECONDS)) for _ in range(6)}
    plant.settle(120)
    verdict = plant.judge(accepted)
    workers = {plant.store.job(job_id).worker for job_id in accepted}
    figures(f"{verdict}; by {len(workers)} processes")
    assert verdict.is_good
    assert {each.outcome for job_id in accepted for each in plant.store.attempts(job_id)} == {Outcome.SUCCEEDED}


def test_a_release_and_the_one_before_it_side_by_side(plant: Plant, figures: Figures) -> None:
    """Workers of both run what was accepted before; the new version comes once no old worker is left."""
    plant.start(workers=1)
    plant.add_worker(DRILL_KINDS="next")
    plant.wait_until_ready()
    with Intake(lambda: plant.accept(Work(seconds=0.05)), 100, 8) as old:
        pass
    plant.settle(30)
    by_both = {(plant.store.job(job_id).worker or "") for job_id in old.accepted}
    plant.workers[0].stop(60)
    with Intake(lambda: plant.accept(WorkOfTomorrow(note=""), NEXT_WORK), 50, 4) as new:
        pass
    plant.settle(30)
    verdict = plant.judge(old.accepted | new.accepted)
    figures(f"{verdict}; the old payloads ran in {len(by_both)} processes")
    assert verdict.is_good
    assert plant.errors_without_job() == []


@pytest.mark.timeout(1200)
def test_a_purge_of_many_jobs_disturbs_nobody(plant: Plant, door: Door, figures: Figures) -> None:
    database = plant.store.database
    fill_with_old_jobs(database, plant.store.owner_id, PURGED)
    with Intake(door.accept, 200, 20) as before:
        pass
    quiet = door.take_seconds()
    dispatcher = plant.add_dispatcher()
    with Intake(door.accept, 4000, 400) as during:
        # Nobody runs the new ones.
        purged_in = plant.wait_until(lambda: not has_ended_jobs(database), 360, "all old jobs are purged")
        during.stop()
    loud = door.take_seconds()
    with Intake(door.accept, 200, 20) as after:
        pass
    quiet_again = door.take_seconds()
    times = ", ".join(f"{p99(seconds) * 1000:.0f} ms" for seconds in (quiet, loud, quiet_again))
    figures(f"{PURGED} purged in {purged_in:.0f} s; POST p99 before, meanwhile and after: {times}")
    intakes = (before, during, after)
    assert (sum(intake.refused for intake in intakes), door.statuses.keys()) == (0, {202})
    assert count_jobs(database) == sum(len(intake.accepted) for intake in intakes)
    assert "1205" not in dispatcher.log()
    assert plant.errors_without_job() == []
    hold_to_twice(p99(quiet), p99(quiet_again), p99(loud), slack_seconds=0.01)


def p99(seconds: list[float]) -> float:
    return quantiles(seconds, n=100)[98]
