"""Whatever is killed in the middle of an import, the job ends succeeded and every row is there once."""

from contextlib import closing
from pathlib import Path

import pymysql
import pytest
from devtools.live import write_contacts
from sqlalchemy import make_url

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.parametrize("database_backend", ["mysql"], indirect=True),
]

ROWS = 100_000


@pytest.fixture
def many_contacts(tmp_path: Path) -> Path:
    return write_contacts(tmp_path / "many.csv", ROWS)


def count_contacts(database_url: str) -> tuple[int, ...]:
    """Rows, and different keys among them."""
    return ask(database_url, "SELECT COUNT(*), COUNT(DISTINCT external_id) FROM contacts")


def ask(database_url: str, query: str) -> tuple[int, ...]:
    """The first row of the answer, straight from the server."""
    url = make_url(database_url)
    connection = pymysql.connect(
        host=url.host, port=url.port or 3306, user=url.username, password=url.password, database=url.database
    )
    with closing(connection), connection.cursor() as cursor:
        cursor.execute(query)
        return tuple(cursor.fetchone())


def test_a_worker_killed_in_the_middle_of_an_import_costs_no_row_and_doubles_none(live, client, many_contacts: Path):
    job = client.import_file(many_contacts)
    client.wait_until_midway(job)
    live.kill("worker")

    left = client.job(job)
    assert left["state"] == "running", "the kill came too late"
    assert 0 < count_contacts(live.stack.api_database)[0] < ROWS

    live.start(live.stack.worker())
    done = client.wait_for_success(job)
    assert done["result"] == {
        "rows": ROWS, "created": ROWS, "updated": 0, "skipped": 0, "rejected": 0, "ignored_columns": [],
    }  # fmt: skip
    assert count_contacts(live.stack.api_database) == (ROWS, ROWS)
    assert ask(live.stack.api_database, "SELECT fence FROM jobs") == (2,), "it was not the second worker that finished"


def test_a_broker_killed_in_the_middle_and_restarted_empty_costs_no_job(live, client, many_contacts: Path):
    running = client.import_file(many_contacts)
    client.wait_until_midway(running)
    live.kill("valkey")

    assert client.job(running)["state"] == "running", "the kill came too late"
    assert 0 < count_contacts(live.stack.api_database)[0] < ROWS
    few = many_contacts.with_name("few.csv")
    few.write_text("name\nZoë\nJosé\n", encoding="utf-8")
    accepted_without_broker = client.import_file(few)

    live.start(live.stack.valkey())
    assert client.wait_for_success(running)["result"]["created"] == ROWS
    assert client.wait_for_success(accepted_without_broker)["result"]["created"] == 2
    assert count_contacts(live.stack.api_database) == (ROWS + 2, ROWS)
