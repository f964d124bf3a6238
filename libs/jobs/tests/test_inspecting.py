"""What an operator reads: lists by state, kind and owner, one job with its history, counts."""

from typing import Any
from uuid import UUID

import pytest
from common.ids import new_id
from common.testing.statements import recorded
from jobs import transitions
from jobs.errors import JobNotFound
from jobs.lease import Lease
from jobs.models import JobEffect
from jobs.states import EffectState, JobState
from jobs.testing import StoreHarness
from jobs.use_cases import inspecting
from jobs.use_cases.counting import read_stats
from jobs.use_cases.inspecting import Place, Wanted, list_all_jobs, show_job
from sqlalchemy import inspect, text

ERROR = {"code": "handler-error", "message": "It broke."}
only_on_mysql = pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)


def end(store: StoreHarness, transition: Any = transitions.die, **options: Any) -> UUID:
    lease = store.start(**options)
    assert store.transition(transition, lease, None if transition is transitions.succeed else ERROR)
    return lease.job_id


def listed(store: StoreHarness, wanted: Wanted = Wanted(), limit: int = 2) -> list[list[UUID]]:  # noqa: B008 - frozen
    """All pages."""
    pages, place, more = [], None, True
    while more:
        with store.database.read() as session:
            jobs, place = list_all_jobs(session, wanted, limit, place)
        pages.append([job.id for job in jobs])
        more = place is not None
    return pages


def test_all_owners_jobs_are_listed_newest_first(store: StoreHarness) -> None:
    ids = []
    for _ in range(5):
        store.owner_id = new_id()
        ids.append(store.enqueue())
    assert listed(store) == [ids[:2:-1], ids[2:0:-1], ids[:1]]


def test_jobs_of_a_state_are_listed_by_their_end_the_last_first(store: StoreHarness) -> None:
    leases = [store.start() for _ in range(4)]
    waiting = [store.enqueue() for _ in range(3)]
    ended = [leases[n].job_id for n in (2, 0, 3)]
    for job_id in ended:
        store.transition(transitions.die, Lease(job_id, 1), ERROR)
    moment = store.job(ended[0]).finished_at
    for job_id in ended[:2]:  # two ended at one moment: the id decides
        store.change(job_id, finished_at=moment)
    same = sorted(ended[:2], reverse=True)
    assert listed(store, Wanted(JobState.DEAD), limit=1) == [[ended[2]], [same[0]], [same[1]]]
    assert listed(store, Wanted(JobState.QUEUED)) == [waiting[:0:-1], waiting[:1]]
    assert listed(store, Wanted(JobState.RUNNING)) == [[leases[1].job_id]]
    assert listed(store, Wanted(JobState.FAILED)) == [[]]


def test_an_owners_jobs_are_listed_newest_first_in_any_state(store: StoreHarness) -> None:
    store.enqueue()
    store.owner_id = owner = new_id()
    ids = [store.enqueue(), end(store), store.enqueue()]
    assert listed(store, Wanted(owner_id=owner)) == [ids[:0:-1], ids[:1]]
    assert listed(store, Wanted(JobState.QUEUED, owner_id=owner)) == [[ids[2], ids[0]]]


@pytest.mark.parametrize("state", [None, JobState.QUEUED])
def test_a_page_by_kind_looks_at_so_many_jobs_and_goes_on_after_them(
    store: StoreHarness, monkeypatch: pytest.MonkeyPatch, state: JobState | None
) -> None:
    monkeypatch.setattr(inspecting, "LOOKED_AT", 3)
    ids = [store.enqueue("letters" if n in {0, 1, 5} else "numbers") for n in range(7)]
    # The newest three hold one; the three before hold one, and the last stands alone.
    assert listed(store, Wanted(state, "letters")) == [[ids[5]], [ids[1]], [ids[0]]]
    assert listed(store, Wanted(state, "words")) == [[], [], []]
    assert listed(store, Wanted(state, "numbers"))[0] == [ids[6], ids[4]]


def test_a_page_by_kind_has_the_order_of_the_whole_list(store: StoreHarness) -> None:
    leases = [store.start() for _ in range(3)]
    for lease in (leases[2], leases[0]):
        store.transition(transitions.die, lease, ERROR)
    ids = [lease.job_id for lease in leases]
    assert listed(store, Wanted(kind="numbers"), limit=1) == [[ids[2]], [ids[1]], [ids[0]]]
    assert listed(store, Wanted(kind="numbers", owner_id=store.owner_id), limit=3) == [ids[::-1]]
    assert listed(store, Wanted(JobState.DEAD, "numbers"), limit=1) == [[ids[0]], [ids[2]]]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [(Wanted(), 1), (Wanted(JobState.DEAD), 1), (Wanted(kind="numbers"), 3), (Wanted(kind="letters"), 2)],
)
def test_a_page_takes_as_many_statements_however_many_jobs_it_holds(
    store: StoreHarness, wanted: Wanted, count: int
) -> None:
    for _ in range(3):
        end(store)
    with recorded(store.database.read_engine) as sent, store.database.read() as session:
        list_all_jobs(session, wanted, 20, None)
    assert len(sent) == count
    for statement, _ in sent:
        assert not any(name in statement for name in ("payload", "checkpoint", "result"))


@only_on_mysql
@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Wanted(), "PRIMARY"),
        (Wanted(owner_id=UUID(int=1)), "ix_jobs_owner_id_id"),
        (Wanted(JobState.SUCCEEDED), "ix_jobs_state_finished_at"),
        (Wanted(JobState.QUEUED), "ix_jobs_state_finished_at"),
        (Wanted(JobState.SUCCEEDED, owner_id=UUID(int=1)), "ix_jobs_state_owner_id"),
    ],
)
@pytest.mark.parametrize("kind", [None, "numbers"])
@pytest.mark.parametrize("page", ["first", "next"])
def test_a_list_is_read_from_an_index_without_sorting(
    store: StoreHarness, wanted: Wanted, index: str, kind: str | None, page: str
) -> None:
    fill(store)
    with store.database.read() as session:
        [one, *_], _ = list_all_jobs(session, wanted, 1, None)
        place = None if page == "first" else Place(one.finished_at, one.id)
    with recorded(store.database.read_engine) as sent, store.database.read() as session:
        list_all_jobs(session, Wanted(wanted.state, kind, wanted.owner_id), 20, place)
    for statement, parameters in sent:
        if " IN " in statement:
            continue  # a page by kind reads what it found by their ids
        with store.database.read_engine.connect() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN FORMAT=TRADITIONAL {statement}", parameters).mappings().all()
        read = [row for row in plan if row["table"] == "jobs"]
        assert [row["key"] for row in read] == [index], plan
        assert "filesort" not in (read[0]["Extra"] or ""), plan


def fill(store: StoreHarness) -> None:
    """2,000 jobs, half of them ended, a tenth of one owner; statistics as they would be."""
    job_id = store.enqueue()
    columns = [row for row in mysql_columns(store) if row not in {"id", "owner_id", "state", "finished_at"}]
    rest = ", ".join(columns)
    with store.database.write() as session:
        session.execute(
            text(
                f"""INSERT INTO jobs (id, owner_id, state, finished_at, {rest})
                WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
                SELECT /*+ SET_VAR(cte_max_recursion_depth=3000) */
                    UNHEX(LPAD(HEX(i), 32, '0')), UNHEX(LPAD(HEX(i MOD 10), 32, '0')),
                    IF(i MOD 4 < 2, 'succeeded', IF(i MOD 4 = 2, 'dead', 'queued')),
                    IF(i MOD 4 < 3, TIMESTAMPADD(SECOND, i, UTC_TIMESTAMP(6)), NULL), {rest}
                FROM n, (SELECT * FROM jobs WHERE id = :job) AS one"""
            ),
            {"job": job_id.bytes},
        )
        session.commit()
        session.execute(text("ANALYZE TABLE jobs"))


def mysql_columns(store: StoreHarness) -> list[str]:
    return [column["name"] for column in inspect(store.database.engine).get_columns("jobs")]


def test_a_job_is_shown_with_attempts_and_effects_and_without_its_payload(store: StoreHarness) -> None:
    lease = store.start(count=7)
    store.transition(transitions.retry, lease, ERROR, 0)
    running = store.claim(lease.job_id, "w2")
    assert running is not None
    with store.database.write() as session:
        moment = store.job(lease.job_id).created_at
        session.add(JobEffect(job_id=lease.job_id, step="send", state=EffectState.INTENT, intended_at=moment))
        session.commit()
    with recorded(store.database.read_engine) as sent, store.database.read() as session:
        history = show_job(session, lease.job_id)
        assert [(each.fence, each.worker) for each in history.attempts] == [(1, "w1"), (2, "w2")]
        assert [each.ended_at is None for each in history.attempts] == [False, True]
        assert [each.step for each in history.effects] == ["send"]
        assert history.job.error == ERROR
        assert "payload" not in vars(history.job)
    assert len(sent) == 3
    with store.database.read() as session:
        assert show_job(session, lease.job_id, with_payload=True).job.payload == {"count": 7}


def test_a_job_that_is_not_there_is_not_shown(store: StoreHarness) -> None:
    with store.database.read() as session, pytest.raises(JobNotFound):
        show_job(session, new_id())


def test_jobs_are_counted_by_state_kind_and_queue_the_worst_first(store: StoreHarness) -> None:
    store.enqueue()
    store.enqueue(delay_seconds=60)
    end(store, kind="letters")
    end(store, transitions.fail)
    end(store, transitions.succeed)
    store.start()
    with store.database.read() as session:
        stats, everything = read_stats(session), read_stats(session, every_state=True)
    shown = [(count.state, count.kind, count.queue, count.jobs) for count in stats.counts]
    assert shown == [
        ("dead", "letters", "default", 1),
        ("failed", "numbers", "default", 1),
        ("running", "numbers", "default", 1),
        ("queued", "numbers", "default", 2),
    ]
    assert (stats.total(JobState.SUCCEEDED), everything.total(JobState.SUCCEEDED)) == (0, 1)
    assert list(stats.oldest_due_seconds) == ["default"]
    assert 0 <= stats.oldest_due_seconds["default"] < 60
    assert not stats.is_idle
