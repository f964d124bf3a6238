"""Compare no-op jobs through the table with plain Celery's no-op tasks on the same broker, in the same run.

    python libs/jobs/benchmarks/throughput.py --url mysql+pymysql://user:password@127.0.0.1/any

Jobs: from committed rows to all of them succeeded, by a real dispatcher and a real worker. Tasks: from messages in the
broker to an empty queue. Both with two processes, late acknowledgement and one message at a time. They alternate; the
ratio is the median of the rounds'. It should be 0.25 or more. CPU time is told for each, without the database's: unlike
the rates it changes little on a machine with other work.
"""

import argparse
import statistics
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from common.db import Database
from common.ids import new_id
from common.testing.valkey import ValkeyServer
from jobs.models import Job
from jobs.states import JobState
from jobs.testing import StoreHarness
from plain_celery import app
from sqlalchemy import delete, func, insert, select
from stack import cpu_seconds, plain_celery, scratch_broker, scratch_store, seconds_until, worker_service

PROCESSES = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="mysql+pymysql://... (may create databases) or sqlite://")
    parser.add_argument("--jobs", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with scratch_store(arguments.url) as database, scratch_broker() as broker, _both(database, broker):
        _run_jobs(database, 100)
        _run_tasks(broker, 100)
        ratios = []
        cpu_of_tasks, cpu_of_jobs = Counter[str](), Counter[str]()
        for _ in range(arguments.rounds):
            tasks = arguments.jobs / _counting(cpu_of_tasks, lambda: _run_tasks(broker, arguments.jobs))
            jobs = arguments.jobs / _counting(cpu_of_jobs, lambda: _run_jobs(database, arguments.jobs))
            ratios.append(jobs / tasks)
            print(f"plain {tasks:6,.0f} tasks/s   table {jobs:6,.0f} jobs/s   {jobs / tasks:.2f}")  # noqa: T201 # its output
        for what, cpu in (("task", cpu_of_tasks), ("job", cpu_of_jobs)):
            share = ", ".join(
                f"{name} {used / arguments.rounds / arguments.jobs * 1000:.2f}" for name, used in cpu.items()
            )
            print(f"CPU of a {what} in ms: {share}")  # noqa: T201
        ratio = statistics.median(ratios)
        print(f"no-op jobs: {ratio:.2f} of plain Celery (median of {arguments.rounds}, at least 0.25)")  # noqa: T201


@contextmanager
def _both(database: Database, broker: ValkeyServer) -> Iterator[None]:
    app.conf.broker_url = broker.url
    with worker_service(database, broker, processes=PROCESSES), plain_celery(broker, processes=PROCESSES):
        yield


def _counting(cpu: Counter[str], run: Callable[[], float]) -> float:
    """Run, and add the CPU time of that by program."""
    before = cpu_seconds()
    seconds = run()
    cpu.update({name: used - before.get(name, 0) for name, used in cpu_seconds().items() if used > before.get(name, 0)})
    return seconds


def _run_tasks(broker: ValkeyServer, count: int) -> float:
    """Seconds. The messages are sent to where nobody listens, and are there all at once."""
    with app.producer_pool.acquire(block=True) as producer:
        for _ in range(count):
            app.send_task("plain.noop", args=("api", str(new_id())), queue="aside", producer=producer)
    with broker.client() as client:
        client.rename("aside", "plain")
        return seconds_until(lambda: not client.llen("plain") and not client.hlen("unacked"))


def _run_jobs(database: Database, count: int) -> float:
    """Seconds. The rows are committed all at once."""
    _accept(database, count)
    unfinished = select(Job.id).where(Job.state.in_([JobState.QUEUED, JobState.RUNNING])).limit(1)
    with database.read_engine.connect() as connection:
        seconds = seconds_until(lambda: connection.execute(unfinished).first() is None)
        done = connection.scalar(select(func.count()).where(Job.state == JobState.SUCCEEDED))
    if done != count:
        raise RuntimeError(f"{done} of {count} jobs succeeded")
    return seconds


def _accept(database: Database, count: int) -> None:
    store = StoreHarness(database)
    first = store.job(store.enqueue("noop", delay_seconds=3600))
    row = {column.name: getattr(first, column.name) for column in Job.__table__.columns}
    rows = [row | {"id": new_id(), "run_after": first.created_at} for _ in range(count)]
    with database.write() as session:
        session.execute(delete(Job))
        session.execute(insert(Job), rows)
        session.commit()


if __name__ == "__main__":
    main()
