"""Records out of bytes: where each starts, what is wrong with it, and that one bad record never takes others along."""

import csv
import gzip
import io
import tempfile
import time
from collections.abc import Callable

import pytest
from contacts.errors import DamagedGzip, ImportTooLarge
from contacts.imports.lines import MAX_RECORD_BYTES, Lines
from contacts.imports.records import CSVRecord, CSVRecords, JSONRecord, JSONRecords
from hypothesis import given
from hypothesis import strategies as st


def read(data: bytes) -> list[CSVRecord]:
    return [record for record in CSVRecords(Lines(io.BytesIO(data), max_bytes=10**9)) if record is not None]


def read_json(data: bytes) -> list[JSONRecord]:
    return [record for record in JSONRecords(Lines(io.BytesIO(data), max_bytes=10**9)) if record is not None]


def exhaust(lines: Lines) -> None:
    while lines.take():
        pass


def reasons(records: list[CSVRecord] | list[JSONRecord]) -> dict[int, str]:
    return {record.line: record.fault.reason for record in records if record.fault}


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_record_starts_on_the_line_of_its_first_cell(end: bytes) -> None:
    data = end.join([b"a,b", b'1,"two', b'lines"', b"", b"3,4"])
    assert [(record.line, record.cells) for record in read(data)] == [
        (1, ["a", "b"]),
        (2, ["1", "two" + end.decode() + "lines"]),
        (5, ["3", "4"]),
    ]


def test_quotes_written_twice_are_one_and_a_last_line_needs_no_end() -> None:
    assert read(b'a,"say ""hi"", ok"')[0].cells == ["a", 'say "hi", ok']


def test_quotes_inside_a_cell_that_is_not_quoted_are_text() -> None:
    assert read(b'5" pipe,Robert "Bob" Smith\n')[0].cells == ['5" pipe', 'Robert "Bob" Smith']


def test_bad_utf_8_rejects_its_record_and_names_the_cell() -> None:
    good, bad, also_good = read(b"a,b\n1,x\xff\xfey\n2,3\n")
    assert bad.fault is not None
    assert (bad.line, bad.fault.column, bad.fault.reason) == (2, 1, "is not UTF-8")
    assert bad.cells == ["1", "x\ufffd\ufffdy"]
    assert not good.fault
    assert not also_good.fault


def test_a_nul_rejects_its_record_and_names_the_cell() -> None:
    _, bad, good = read(b'a,b\n"x\ny\0",1\n2,3\n')
    assert bad.fault is not None
    assert (bad.line, bad.fault.column, bad.fault.reason) == (2, 0, "holds a NUL character")
    assert bad.cells == ["x\ny\ufffd", "1"]
    assert good.line == 4


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'1,"x"y', "text follows a closing quote"),
        (b"1,x\ry", "carriage return outside quotes"),
        (b'1,"x', "a quote is opened and not closed"),
    ],
)
def test_a_malformed_line_is_rejected_and_reading_goes_on_behind_it(line: bytes, reason: str) -> None:
    records = read(b"a,b\n" + line + b"\n2,3\n4,5\n")
    assert [record.line for record in records] == [1, 2, 3, 4]
    assert list(reasons(records)) == [2]
    assert reason in reasons(records)[2]


def test_a_quote_that_is_never_closed_takes_no_row_behind_it_along() -> None:
    rows = [f"{number},x" for number in range(50_000)]
    rows[10] = '10,"open'
    records = read("\n".join(["a,b", *rows]).encode())
    assert len(records) == 50_001
    assert list(reasons(records)) == [12]
    assert records[11].cells == ["10", "open"]


def test_a_quote_closed_by_the_next_row_s_quote_costs_only_the_first_row() -> None:
    records = read(b'a,b\n1,"open\n"2","x"\n3,4\n')
    assert list(reasons(records)) == [2]
    assert [record.cells for record in records[2:]] == [["2", "x"], ["3", "4"]]


def test_a_file_made_of_open_quotes_is_read_in_linear_time() -> None:
    # From outside quotes each line opens one; from inside it closes that and opens another.
    data = b"a,b\n" + b'a","b\n' * 60_000
    started = time.process_time()
    records = read(data)
    assert len(records) == 60_001
    assert len(reasons(records)) == 60_000
    assert time.process_time() - started < 30  # about 1 s; 128 KiB looked ahead from each line would take minutes


def test_a_record_of_the_longest_size_is_read_and_one_byte_more_is_not() -> None:
    cell = b'"' + b"x" * (MAX_RECORD_BYTES - 5) + b'"'
    longest, after = read(cell + b",1\n2,3\n")
    assert not longest.fault
    assert after.line == 2
    too_long, after = read(cell + b",11\n2,3\n")
    assert too_long.fault is not None
    assert too_long.fault.reason == "the line is longer than 131072 bytes"
    assert after.cells == ["2", "3"]


def test_a_line_of_many_megabytes_is_passed_over_without_being_kept() -> None:
    records = read(b"a,b\n" + b"x" * 30_000_000 + b"\n1,2\n")
    assert reasons(records) == {2: "the line is longer than 131072 bytes"}
    assert records[2].cells == ["1", "2"]


def test_a_long_line_behind_an_open_quote_is_a_record_of_its_own() -> None:
    records = read(b'a\n"open\n' + b"x" * 200_000 + b"\n1\n")
    assert list(reasons(records)) == [2, 3]
    assert records[-1].cells == ["1"]


@given(st.binary(max_size=200))
def test_no_bytes_stop_the_reading(data: bytes) -> None:
    lines = [record.line for record in read(b"a\n" + data + b"\nlast,row\n")]
    assert lines == sorted(set(lines))


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
tables = st.lists(st.lists(cells, min_size=2, max_size=5), min_size=1, max_size=20)


@given(tables, st.sampled_from(["\n", "\r\n"]), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), st.booleans())
def test_what_a_csv_writer_writes_is_read_back(table: list[list[str]], end: str, quoting: int, packed: bool) -> None:
    text = io.StringIO(newline="")
    # A carriage return alone is quoted by the writer only where it is part of its line end.
    csv.writer(text, lineterminator=end, quoting=quoting if end == "\r\n" else csv.QUOTE_ALL).writerows(table)
    data = text.getvalue().encode()
    records = read(gzip.compress(data) if packed else data)
    if data.startswith(b"\xef\xbb\xbf"):
        return  # a table that starts with U+FEFF starts with a byte order mark
    assert [record.cells for record in records] == table
    assert not reasons(records)


def test_json_records_are_the_objects_of_the_lines() -> None:
    records = read_json(b'{"a": 1}\n\r\n {"b": null} \r\n')
    assert [(record.line, record.values) for record in records] == [(1, {"a": 1}), (3, {"b": None})]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{'a': 1}", "is not JSON"),
        (b'{"a": 1}{"b": 2}', "is not JSON"),
        (b'{"a": NaN}', "is not JSON"),
        (b'{"a": "\xff"}', "is not JSON"),
        (b'{"a": "\x00"}', "is not JSON"),
        (b"[1, 2]", "is not a JSON object"),
        (b'"text"', "is not a JSON object"),
        (b'{"a": "' + b"x" * MAX_RECORD_BYTES + b'"}', "the line is longer than 131072 bytes"),
        (b"[" * 100_000, "is not JSON"),
    ],
)
def test_a_line_that_is_no_json_object_is_rejected_alone(line: bytes, reason: str) -> None:
    records = read_json(b'{"a": 1}\n' + line + b'\n{"c": 3}\n')
    assert list(reasons(records)) == [2]
    assert reason in reasons(records)[2]
    assert records[2].values == {"c": 3}


@pytest.mark.parametrize("packed", [False, True])
def test_reading_goes_on_from_any_line(packed: bool) -> None:
    data = b"\xef\xbb\xbfa,b\n" + b'1,"x\ny"\n2,z\n' * 5
    source = gzip.compress(data) if packed else data
    whole = Lines(io.BytesIO(source), max_bytes=10**6)
    seen = []
    while (line := whole.take()) is not None:
        seen.append((whole.number, whole.offset, line))
    for place, (number, offset, _) in enumerate(seen):
        resumed = Lines(io.BytesIO(source), max_bytes=10**6)
        resumed.skip_to(offset, number)
        rest = []
        while (line := resumed.take()) is not None:
            rest.append((resumed.number, resumed.offset, line))
        assert rest == seen[place + 1 :]


def test_a_gzip_bomb_is_stopped_at_ten_times_the_limit() -> None:
    bomb = gzip.compress(b"x,y\n" * 250_001)
    lines = Lines(io.BytesIO(bomb), max_bytes=100_000)
    with pytest.raises(ImportTooLarge, match="more than 1000000 bytes unpacked"):
        exhaust(lines)
    assert lines.offset <= 1_000_000


def test_a_gzip_bomb_of_one_endless_line_is_stopped_too() -> None:
    lines = Lines(io.BytesIO(gzip.compress(b"x" * 2_000_000)), max_bytes=100_000)
    with pytest.raises(ImportTooLarge):
        lines.take()


@pytest.mark.parametrize("damage", [lambda data: data[:-100], lambda data: data[:-100] + b"x" * 100])
def test_a_damaged_gzip_stream_is_refused_with_the_line_it_reached(damage: Callable[[bytes], bytes]) -> None:
    data = damage(gzip.compress("\n".join(f"{n},{n * n}" for n in range(20_000)).encode()))
    lines = Lines(io.BytesIO(data), max_bytes=10**6)
    with pytest.raises(DamagedGzip, match=r"behind line \d+"):
        exhaust(lines)


def test_several_gzip_members_are_one_file() -> None:
    records = read(gzip.compress(b"a\n1\n") + gzip.compress(b"2\n"))
    assert [record.cells for record in records] == [["a"], ["1"], ["2"]]


def test_a_file_that_is_open_for_writing_too_is_only_read() -> None:
    with tempfile.TemporaryFile() as spool:
        spool.write(gzip.compress(b"a\n1\n"))
        lines = Lines(spool, max_bytes=100)
        assert [line.data for line in iter(lines.take, None)] == [b"a\n", b"1\n"]
