"""`flask jobs` as operators call it: options, output, exit status."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from click.testing import Result
from common.ids import new_id
from jobs import transitions
from jobs.models import JobEffect
from jobs.states import EffectState, JobState
from jobs.testing import StoreHarness
from jobs.use_cases import cancel_job

Run = Callable[..., Result]
ERROR = {"code": "handler-error", "message": "It broke."}


def end(store: StoreHarness, transition: Any = transitions.die, error: Any = ERROR, **options: Any) -> UUID:
    lease = store.start(**options)
    assert store.transition(transition, lease, None if transition is transitions.succeed else error)
    return lease.job_id


def ids_of(result: Result) -> list[UUID]:
    return [UUID(job["id"]) for job in json.loads(result.stdout)]


def test_the_list_is_a_table_the_newest_first(run: Run, store: StoreHarness) -> None:
    lease = store.start()
    saved = {"progress": {"done": 3, "total": 10, "unit": "rows"}}
    store.transition(transitions.save_progress, lease, saved, advanced=True)
    dead = end(store, kind="letters")
    head, first, second = run("list").stdout.splitlines()
    assert head.split() == ["ID", "STATE", "KIND", "ATTEMPTS", "PROGRESS", "ACCEPTED", "ENDED", "ERROR"]
    assert first.split()[:5] == [str(dead), "dead", "letters", "1/8", "-"]
    assert first.endswith("Z  handler-error")
    assert second.split()[:6] == [str(lease.job_id), "running", "numbers", "1/8", "3/10", "rows"]


def test_the_list_takes_state_kind_owner_and_limit(run: Run, store: StoreHarness) -> None:
    letters, failed = end(store, kind="letters"), end(store, transitions.fail)
    store.owner_id = new_id()
    queued, dead = store.enqueue(), end(store)
    assert ids_of(run("list", "--json")) == [dead, queued, failed, letters]
    assert ids_of(run("list", "--json", "--state", "dead")) == [dead, letters]
    assert ids_of(run("list", "--json", "--kind", "letters")) == [letters]
    assert ids_of(run("list", "--json", "--owner", store.owner_id)) == [dead, queued]
    assert ids_of(run("list", "--json", "--dead-first")) == [dead, letters, failed, queued]
    some = run("list", "--json", "--limit", 3)
    assert ids_of(some) == [dead, queued, failed]
    assert some.stderr == "There are more: --limit.\n"
    nothing = run("list", "--state", "cancelled")
    assert (nothing.stdout, nothing.stderr) == ("", "No such jobs.\n")


def test_a_job_is_shown_with_its_attempts_and_effects(run: Run, store: StoreHarness) -> None:
    job_id = end(store, error={"code": "handler-error", "message": "\x1b[31mIt\nbroke."}, count=7)
    with store.database.write() as session:
        moment = store.job(job_id).created_at
        session.add(JobEffect(job_id=job_id, step="send", state=EffectState.INTENT, intended_at=moment))
        session.commit()
    shown = run("show", job_id).stdout
    assert "handler-error: \\x1b[31mIt\\x0abroke." in shown  # nothing in it moves a terminal's cursor
    assert "\x1b" not in shown
    assert f"{job_id}:send" in shown
    attempts = shown.split("\n\n")[1].splitlines()
    assert attempts[0].split() == ["FENCE", "ATTEMPT", "WORKER", "STARTED_AT", "ENDED_AT", "OUTCOME"]
    assert (attempts[1].split()[:3], attempts[1].split()[-1]) == (["1", "1", "w1"], "dead")
    assert "count" not in shown
    assert "{'count': 7}" in run("show", job_id, "--payload").stdout
    details = json.loads(run("show", job_id, "--json").stdout)
    assert details["attempts"][0]["outcome"] == "dead"
    assert "payload" not in details
    assert json.loads(run("show", job_id, "--json", "--payload").stdout)["payload"] == {"count": 7}


@pytest.mark.parametrize("command", ["show", "cancel", "redrive"])
def test_a_job_that_is_not_there_is_a_line_and_status_1(run: Run, command: str) -> None:
    assert run(command, new_id(), status=1).stderr == "Error: There is no job with this id.\n"


def test_jobs_are_redriven_by_their_ids_and_say_by_whom(run: Run, store: StoreHarness) -> None:
    ids = [end(store), end(store, transitions.fail)]
    assert run("redrive", *ids).stdout.splitlines() == [f"queued {each}" for each in ids]
    assert [store.job(each).redriven_by for each in ids] == ["ann", "ann"]
    assert "only failed and dead jobs" in run("redrive", ids[0], status=1).stderr
    other = end(store)
    run("redrive", other, "--by", "bob@example.org")
    assert "1 times, last" in run("show", other).stdout
    assert "by bob@example.org" in run("show", other).stdout


def test_a_cancelled_job_says_by_whom(run: Run, store: StoreHarness) -> None:
    by_operator, by_owner, neither = store.enqueue(), store.enqueue(), store.enqueue()
    run("cancel", by_operator, "--by", "bob")
    with store.database.write() as session:
        cancel_job(session, store.owner_id, by_owner)
    said = [run("show", each).stdout.split("cancel_requested")[1].splitlines()[0] for each in (by_operator, by_owner)]
    assert [text.split(" by ")[1] for text in said] == ["bob", "its owner"]
    assert "cancel_requested  -\n" in run("show", neither).stdout
    assert json.loads(run("show", by_operator, "--json").stdout)["cancel_requested_by"] == "bob"


def test_an_unknown_outcome_needs_an_answer(run: Run, store: StoreHarness) -> None:
    job_id = end(store, transitions.fail, {"code": "unknown-outcome", "message": "?"})
    assert "Find out whether" in run("redrive", job_id, status=1).stderr
    assert run("redrive", "--all", "--state", "failed", "--yes").stdout == "queued 0 of 0 failed jobs\n"
    run("redrive", job_id, "--open-effects", "done")
    assert store.job(job_id).state is JobState.QUEUED


def test_all_are_redriven_after_asking_a_few_a_second(run: Run, store: StoreHarness) -> None:
    ids = [end(store) for _ in range(3)]
    letters = end(store, kind="letters")
    chosen = ("redrive", "--all", "--kind", "numbers", "--per-second", "0.5")
    refused = run(*chosen, answer="n\n", status=1)
    assert "Run 3 dead jobs again, 0.5 a second? [y/N]" in refused.stdout
    assert store.job(ids[0]).state is JobState.DEAD
    assert run(*chosen, answer="y\n").stdout.endswith("queued 3 of 3 dead jobs; the last is due in 4 s\n")
    due = [store.job(each).run_after for each in ids]
    assert [round((each - due[0]).total_seconds()) for each in due] == [0, 2, 4]
    assert store.job(letters).state is JobState.DEAD
    assert run("redrive", "--all", "--yes").stdout == "queued 1 of 1 dead jobs\n"
    assert run("redrive", "--all").stdout == "queued 0 of 0 dead jobs\n"


def test_all_stop_at_the_limit(run: Run, store: StoreHarness) -> None:
    for _ in range(3):
        end(store, transitions.fail)
    chosen = ("redrive", "--all", "--state", "failed", "--error-code", "handler-error")
    assert run(*chosen, "--limit", 2, "--yes").stdout == "queued 2 of 2 of 3 failed jobs\n"
    assert run(*chosen, "--yes").stdout == "queued 1 of 1 failed jobs\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["redrive"], "Name the jobs"),
        (["redrive", "--all", UUID(int=1)], "Name the jobs"),
        (["redrive", "--all", "--open-effects", "done"], "somebody has to look"),
        (["redrive", "7"], "not a valid UUID"),
        (["redrive", "--all", "--per-second", "0"], "per-second"),
        (["cancel"], "Name the jobs"),
        (["list", "--state", "lost"], "lost"),
        (["list", "--limit", "0"], "limit"),
    ],
)
def test_what_makes_no_sense_is_refused(run: Run, arguments: list[object], said: str) -> None:
    assert said in run(*arguments, status=2).stderr


@pytest.mark.parametrize("command", ["redrive", "cancel"])
def test_nobody_in_particular_changes_nothing(run: Run, store: StoreHarness, command: str) -> None:
    job_id = end(store)
    assert "Missing option '--by'" in run(command, job_id, status=2, USER=None).stderr
    assert run(command, job_id, USER=None, LOGNAME="carl").exit_code == 0


def test_jobs_are_cancelled(run: Run, store: StoreHarness) -> None:
    queued, running, dead = store.enqueue(), store.start().job_id, end(store)
    said = run("cancel", queued, running, dead).stdout.splitlines()
    assert said == [f"cancelled {queued}", f"asked to stop {running}", f"dead {dead}"]


def test_stats_count_by_state_kind_and_queue(run: Run, store: StoreHarness) -> None:
    assert run("stats").stdout.splitlines() == ["STATE  KIND  QUEUE  JOBS", "nothing is due"]
    store.enqueue()
    end(store, transitions.succeed)
    end(store, kind="letters")
    lines = run("stats").stdout.splitlines()
    assert [line.split() for line in lines[1:3]] == [
        ["dead", "letters", "default", "1"],
        ["queued", "numbers", "default", "1"],
    ]
    assert lines[3].startswith("oldest due job: default ")
    counts = json.loads(run("stats", "--all", "--json").stdout)["counts"]
    assert {"state": "succeeded", "kind": "numbers", "queue": "default", "jobs": 1} in counts


def test_watching_ends_when_nothing_is_left_to_do(run: Run, store: StoreHarness) -> None:
    end(store)
    assert run("watch", "--until-idle").stdout.split("  ")[1] == (
        "0 queued, 0 running, 0 failed, 1 dead; nothing is due\n"
    )
    look = json.loads(run("watch", "--until-idle", "--json").stdout)
    assert look["running"] == []
    assert look["counts"] == [{"state": "dead", "kind": "numbers", "queue": "default", "jobs": 1}]
