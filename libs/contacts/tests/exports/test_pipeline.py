"""Exports: which contacts, in which form, and what happens to those that change meanwhile."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from common.clock import utc_now
from common.db import Database
from common.ids import new_id
from contacts import exports
from contacts.exports import reading
from contacts.fields import FIELD_NAMES
from contacts.testing import Exporter, Importer, Stopped
from contacts.use_cases import contacts as use_cases
from sqlalchemy import text

HEADER = ",".join(FIELD_NAMES) + "\r\n"


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of three rows, so that few contacts make many."""
    monkeypatch.setattr("contacts.exports.pipeline.CHUNK_ROWS", 3)


def fill(importer: Importer, count: int) -> None:
    rows = "".join(f'e{n:03},N{n},"[""even""]"\n' if n % 2 == 0 else f"e{n:03},N{n},\n" for n in range(count))
    assert importer.run(f"external_id,name,tags\n{rows}".encode()).created == count


def exporter_of(importer: Importer) -> Exporter:
    return Exporter(importer.database, importer.owner_id)


def exported_names(exporter: Exporter) -> list[str]:
    return [row["name"] for row in csv.DictReader(io.StringIO(exporter.files["contacts.csv"].decode(), newline=""))]


def test_csv_has_the_fields_as_columns_and_is_quoted_where_it_has_to_be(importer: Importer) -> None:
    importer.run(b'{"name": "A, \\"B\\"", "phone": "+49 30 1", "birthday": "1970-01-02", "tags": ["x", "\\u00fc"]}\n')
    exporter = exporter_of(importer)
    result = exporter.run("csv")
    row = ',"A, ""B""",,,,+49 30 1,,,,1970-01-02,"[""x"",""ü""]",\r\n'
    assert exporter.files == {"contacts.csv": (HEADER + row).encode()}
    assert result == exports.ExportResult(format="csv", rows=1, bytes=len((HEADER + row).encode()))


def test_ndjson_has_every_field_of_every_contact(importer: Importer) -> None:
    importer.run(b'{"name": "A", "birthday": "1970-01-02"}\n{"name": "B", "tags": ["x"]}\n')
    exporter = exporter_of(importer)
    assert exporter.run("ndjson").rows == 2
    first, second = (json.loads(line) for line in exporter.files["contacts.ndjson"].splitlines())
    nothing: dict[str, Any] = {**dict.fromkeys(FIELD_NAMES), "tags": []}
    assert first == {**nothing, "name": "A", "birthday": "1970-01-02"}
    assert second == {**nothing, "name": "B", "tags": ["x"]}
    assert list(first) == list(FIELD_NAMES)


@pytest.mark.parametrize(("file_format", "content"), [("csv", HEADER.encode()), ("ndjson", b"")])
def test_without_contacts_the_file_is_there_and_has_none(importer: Importer, file_format: str, content: bytes) -> None:
    exporter = exporter_of(importer)
    assert exporter.run(file_format).rows == 0
    assert exporter.files == {f"contacts.{file_format}": content}
    assert exporter.progress == [(0, 0, "contacts")]


@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize("count", [2, 3, 7, 9])
def test_chunks_of_any_number_of_rows_give_all_of_them_in_their_order(importer: Importer, count: int) -> None:
    fill(importer, count)
    exporter = exporter_of(importer)
    assert exporter.run().rows == count
    assert exported_names(exporter) == [f"N{n}" for n in range(count)]
    assert exporter.files["contacts.csv"].count(HEADER.encode()) == 1
    assert exporter.progress[-1] == (count, count, "contacts")
    assert [total for _, total, _ in exporter.progress] == [count] * len(exporter.progress)


@pytest.mark.usefixtures("few_rows")
def test_a_filter_leaves_the_others_out_and_progress_counts_them_all(importer: Importer) -> None:
    fill(importer, 8)
    exporter = exporter_of(importer)
    assert exporter.run(tag="even").rows == 4
    assert exported_names(exporter) == ["N0", "N2", "N4", "N6"]
    assert exporter.progress == [(3, 8, "contacts"), (6, 8, "contacts"), (8, 8, "contacts")]
    nobody = exporter_of(importer)
    assert (nobody.run("ndjson", tag="eve").rows, nobody.files) == (0, {"contacts.ndjson": b""})


def test_others_contacts_and_deleted_ones_are_left_out(new_importer: Callable[[], Importer]) -> None:
    mine, other = new_importer(), new_importer()
    fill(mine, 3)
    fill(other, 3)
    with mine.database.write() as session:
        use_cases.delete_contact(session, mine.owner_id, mine.contacts()[1].id, now=utc_now())
    exporter = exporter_of(mine)
    exporter.run()
    assert exported_names(exporter) == ["N0", "N2"]


@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize("file_format", ["csv", "ndjson"])
@pytest.mark.parametrize("tag", [None, "even"])
def test_an_export_stopped_after_any_chunk_ends_as_one_pass_does(
    importer: Importer, file_format: str, tag: str | None
) -> None:
    fill(importer, 9)
    whole, stopped = exporter_of(importer), exporter_of(importer)
    expected, result = whole.run(file_format, tag), None
    while result is None:
        try:
            result = stopped.run(file_format, tag, max_chunks=1)
        except Stopped:
            stopped.checkpoint = json.loads(json.dumps(stopped.checkpoint))
    assert (result, stopped.files) == (expected, whole.files)


@pytest.mark.usefixtures("few_rows")
def test_what_was_there_all_the_time_is_in_it_once_whatever_else_comes_and_goes(importer: Importer) -> None:
    fill(importer, 9)
    exporter = exporter_of(importer)
    with pytest.raises(Stopped):
        exporter.run(max_chunks=1)
    contacts = importer.contacts()
    with importer.database.write() as session:
        use_cases.delete_contact(session, importer.owner_id, contacts[0].id, now=utc_now())
    with importer.database.write() as session:
        use_cases.delete_contact(session, importer.owner_id, contacts[4].id, now=utc_now())
    with importer.database.write() as session:
        use_cases.update_contact(session, importer.owner_id, contacts[5].id, {"name": "new"}, now=utc_now())
    with importer.database.write() as session:
        use_cases.create_contact(session, importer.owner_id, {"name": "late"}, now=utc_now())
    exporter.run()
    assert exported_names(exporter) == ["N0", "N1", "N2", "N3", "new", "N6", "N7", "N8"]
    assert exporter.progress[-1] == (8, 8, "contacts")


def test_more_contacts_than_are_worth_counting_have_no_total(
    importer: Importer, monkeypatch: pytest.MonkeyPatch, few_rows: None
) -> None:
    fill(importer, 5)
    monkeypatch.setattr("contacts.exports.reading.count", lambda *_: None)
    exporter = exporter_of(importer)
    exporter.run()
    assert exporter.progress == [(3, None, "contacts"), (5, 5, "contacts")]


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_contacts_that_take_too_long_to_count_are_not_counted(
    importer: Importer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the connection would give up waiting, at each attempt again, and the export never begin."""
    fill(importer, 300)
    assert "MAX_EXECUTION_TIME(3000)" in str(reading._COUNT.compile(importer.database.engine))
    product = ", ".join(f"contacts c{number}" for number in range(6))
    endless = f"SELECT /*+ MAX_EXECUTION_TIME(50) */ COUNT(*) FROM {product} WHERE c0.name > c1.name"
    monkeypatch.setattr(reading, "_COUNT", text(endless))
    exporter = exporter_of(importer)
    assert exporter.run().rows == 300
    assert exporter.progress == [(300, 300, "contacts")]
    with importer.database.read() as session:
        assert reading.count(session, importer.owner_id, new_id()) is None
        assert reading.last_id(session, importer.owner_id) is not None  # the session goes on


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_pages_come_by_the_owner_s_index_and_nothing_is_sorted(database: Database) -> None:
    owners = [Importer(database) for _ in range(3)]
    for each in owners:
        fill(each, 2000)
    with database.write() as session:
        session.execute(text("ANALYZE TABLE contacts")).all()
    ids = [contact.id for contact in owners[1].contacts()]
    values = {"owner_id": owners[1].owner_id, "limit": 1000, "after": ids[500], "until": ids[-1]}
    for statement in (reading._FIRST_PAGE, reading._NEXT_PAGE, reading._LAST_ID, reading._COUNTED):
        plan = explain(database, statement, values)
        assert plan["key"] == "ix_contacts_owner_id_id", plan
        assert "filesort" not in str(plan["Extra"])


def explain(database: Database, statement: Any, values: dict[str, Any]) -> dict[str, object]:
    compiled = statement.compile(database.engine)
    with database.read() as session:
        # The text as it is sent, so that the plan is that of the real statement.
        known = {**values, **{name: value for name, value in compiled.params.items() if value is not None}}
        parameters = {
            name: compiled._bind_processors.get(name, lambda value: value)(known[name]) for name in compiled.params
        }
        sent = session.connection().exec_driver_sql(f"EXPLAIN FORMAT=TRADITIONAL {compiled}", parameters)
        return dict(sent.mappings().one())


def test_an_owner_without_contacts_has_no_last_one(database: Database) -> None:
    with database.read() as session:
        assert reading.last_id(session, new_id()) is None
