"""Effects outside the database: a receiver that may act and not answer, and workers that die around it."""

from collections.abc import Callable
from typing import Any

import pytest
from common.errors import DomainError
from jobs import transitions
from jobs.context import JobContext
from jobs.effects import list_effects
from jobs.errors import LeaseLost, RetryJobLater
from jobs.kinds import job_kind
from jobs.lease import Lease
from jobs.registry import Registry
from jobs.runner import Runner
from jobs.states import EffectState, JobState, Outcome
from jobs.stores import Stores
from jobs.testing import Numbers, StoreHarness
from jobs.use_cases.operating import redrive_job


class Receiver:
    """Somebody else's system: remembers keys, or does not; fails before or after it acted."""

    def __init__(self, *, knows_keys: bool, fails: list[str] | None = None) -> None:
        self.knows_keys = knows_keys
        self.fails = fails or []
        self.calls: list[str] = []
        self.acted: list[str] = []

    def send(self, key: str) -> str:
        self.calls.append(key)
        fault = self.fails.pop(0) if self.fails else None
        if fault == "refuses":
            raise RetryJobLater("Busy.", 0)
        if fault == "unreachable":
            raise ConnectionRefusedError
        if not (self.knows_keys and key in self.acted):
            self.acted.append(key)
        if fault == "silent":
            raise TimeoutError
        return f"message-{len(self.acted)}"


Run = Callable[..., Outcome | None]


@pytest.fixture
def mail(store: StoreHarness) -> Run:
    """Run a job of a kind that sends by this receiver; the same job again where one is named."""

    def run(effects: str, receiver: Receiver, job_id: Any = None, **steps: Any) -> Outcome | None:
        declared = job_kind("mail", 1, payload=Numbers, effects=effects, max_attempts=3)  # type: ignore[arg-type]

        @declared
        def send(job: JobContext, payload: Numbers) -> Numbers:
            steps.get("before", lambda job: None)(job)
            name = job.effect("send", receiver.send)
            steps.get("after", lambda job: None)(job)
            return Numbers(count=len(name or ""))

        job_id = job_id or store.enqueue(kind=declared, idempotency_key=effects)
        store.last_job_id = job_id  # type: ignore[attr-defined] # for the assertions after the run
        store.change(job_id, run_after=store.job(job_id).created_at)
        return Runner(Stores({"api": "unused"}, lambda url: store.database), Registry(send)).run("api", job_id)

    return run


def last(store: StoreHarness) -> Any:
    return store.job(store.last_job_id)  # type: ignore[attr-defined]


def effects_of(store: StoreHarness) -> list[tuple[str, EffectState, str | None]]:
    with store.database.read() as session:
        return [(each.step, each.state, each.external_id) for each in list_effects(session, last(store).id)]


@pytest.mark.parametrize("effects", ["at_least_once", "at_most_once"])
def test_an_effect_happens_and_is_written_down(store: StoreHarness, mail: Run, effects: str) -> None:
    receiver = Receiver(knows_keys=False)
    assert mail(effects, receiver) is Outcome.SUCCEEDED
    assert receiver.calls == [f"{last(store).id}:send"]
    assert effects_of(store) == [("send", EffectState.DONE, "message-1")]


@pytest.mark.parametrize("effects", ["at_least_once", "at_most_once"])
def test_what_is_known_to_have_happened_is_not_done_again(store: StoreHarness, mail: Run, effects: str) -> None:
    receiver, faults = Receiver(knows_keys=False), [ValueError()]

    def fail_once(job: JobContext) -> None:
        if faults:
            raise faults.pop()

    assert mail(effects, receiver, after=fail_once) is Outcome.RETRIED
    assert mail(effects, receiver, last(store).id, after=fail_once) is Outcome.SUCCEEDED
    assert (len(receiver.calls), last(store).result) == (1, {"count": len("message-1")})


def test_a_receiver_that_acts_and_does_not_answer_is_asked_again_with_the_same_key(
    store: StoreHarness, mail: Run
) -> None:
    receiver = Receiver(knows_keys=True, fails=["silent"])
    assert mail("at_least_once", receiver) is Outcome.RETRIED
    assert effects_of(store) == [("send", EffectState.INTENT, None)]
    assert mail("at_least_once", receiver, last(store).id) is Outcome.SUCCEEDED
    assert len(set(receiver.calls)) == 1
    assert len(receiver.acted) == 1


@pytest.mark.parametrize("fault", ["silent", "unreachable"])
def test_at_most_once_leaves_an_unknown_outcome_to_a_person(store: StoreHarness, mail: Run, fault: str) -> None:
    receiver = Receiver(knows_keys=False, fails=[fault])
    assert mail("at_most_once", receiver) is Outcome.FAILED
    job = last(store)
    assert (job.state, job.error["code"], len(receiver.calls)) == (JobState.FAILED, "unknown-outcome", 1)
    assert job.error["message"].startswith('Unknown outcome: nobody knows whether the step "send" happened.')


@pytest.mark.parametrize(
    ("effects", "outcome", "calls"), [("at_least_once", Outcome.SUCCEEDED, 2), ("at_most_once", Outcome.FAILED, 1)]
)
def test_a_worker_that_dies_after_acting_leaves_the_step_open(
    store: StoreHarness, mail: Run, effects: str, outcome: Outcome, calls: int
) -> None:
    receiver = Receiver(knows_keys=True)

    class Killed(BaseException):
        """Ends the attempt where SIGKILL would: nothing after it runs."""

    def send_and_die(key: str) -> str:
        Receiver.send(receiver, key)
        raise Killed

    receiver.send = send_and_die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        mail(effects, receiver)
    del receiver.send  # type: ignore[attr-defined] # the next worker lives
    assert mail(effects, receiver, last(store).id) is outcome
    assert (len(receiver.calls), len(receiver.acted)) == (calls, 1)


@pytest.mark.parametrize("effects", ["at_least_once", "at_most_once"])
def test_a_receiver_that_refuses_has_done_nothing(store: StoreHarness, mail: Run, effects: str) -> None:
    receiver = Receiver(knows_keys=False, fails=["refuses"])
    assert mail(effects, receiver) is Outcome.RETRIED
    assert effects_of(store) == []
    assert mail(effects, receiver, last(store).id) is Outcome.SUCCEEDED
    assert len(receiver.acted) == 1


def test_a_zombie_begins_no_effect(store: StoreHarness, mail: Run) -> None:
    receiver = Receiver(knows_keys=False)

    def lose_the_lease(job: JobContext) -> None:
        lease = Lease(job.job_id, 1)
        assert store.transition(transitions.release, lease)
        assert store.claim(job.job_id, "another")

    assert mail("at_most_once", receiver, before=lose_the_lease) is None
    assert (receiver.calls, effects_of(store)) == ([], [])


def test_an_effect_whose_lease_is_lost_meanwhile_stays_open(store: StoreHarness, mail: Run) -> None:
    receiver = Receiver(knows_keys=True)

    def lose_the_lease(key: str) -> str:
        assert store.transition(transitions.release, Lease(last(store).id, 1))
        return Receiver.send(receiver, key)

    receiver.send = lose_the_lease  # type: ignore[method-assign]
    assert mail("at_least_once", receiver) is None
    assert effects_of(store) == [("send", EffectState.INTENT, None)]


def test_a_kind_that_declares_none_has_no_effects_outside(store: StoreHarness, mail: Run) -> None:
    receiver = Receiver(knows_keys=False)
    assert mail("database", receiver) is Outcome.FAILED
    assert receiver.calls == []
    assert "declares effects" in last(store).error["message"]


@pytest.mark.parametrize(("said", "calls"), [("repeat", 2), ("done", 1)])
def test_an_operator_says_what_became_of_it_and_the_job_goes_on(
    store: StoreHarness, mail: Run, said: Any, calls: int
) -> None:
    receiver = Receiver(knows_keys=False, fails=["silent"])
    mail("at_most_once", receiver)
    with store.database.write() as session, pytest.raises(DomainError, match="Find out whether"):
        redrive_job(session, last(store).id, by="ann")
    assert last(store).state is JobState.FAILED
    with store.database.write() as session:
        redrive_job(session, last(store).id, by="ann", open_effects=said)
    assert mail("at_most_once", receiver, last(store).id) is Outcome.SUCCEEDED
    assert len(receiver.calls) == calls


def test_losing_the_lease_is_no_exception_a_handler_could_swallow() -> None:
    assert not issubclass(LeaseLost, Exception)
