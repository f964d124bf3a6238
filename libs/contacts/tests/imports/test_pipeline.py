"""Whole imports: what becomes of each row, on both databases."""

import csv
import gzip
import io
import secrets
from collections.abc import Callable
from datetime import date

import pytest
from common.testing.clock import SettableClock
from contacts import errors
from contacts.testing import Importer
from contacts.use_cases.contacts import delete_contact, update_contact


def rejected(importer: Importer) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(importer.errors.decode(), newline="")))


def test_a_row_becomes_a_contact_with_every_field(importer: Importer) -> None:
    header = "external_id,name,given_name,family_name,email,phone,organization,address,url,birthday,tags,notes"
    row = '7,Ada,A.,L.,ada@example.org,+44 1,"Engines, Inc.","1 Road\nLondon",https://a.b/c,1815-12-10,"[""x"",""y""]",ünï'
    result = importer.run(f"{header}\n{row}\n".encode())
    assert result.model_dump() == {
        "rows": 1,
        "created": 1,
        "updated": 0,
        "skipped": 0,
        "rejected": 0,
        "ignored_columns": [],
    }
    (contact,) = importer.contacts()
    assert (contact.external_id, contact.name, contact.given_name, contact.family_name) == ("7", "Ada", "A.", "L.")
    assert (contact.email, contact.phone, contact.organization) == ("ada@example.org", "+44 1", "Engines, Inc.")
    assert (contact.address, contact.url) == ("1 Road\nLondon", "https://a.b/c")
    assert (contact.birthday, contact.tags, contact.notes) == (date(1815, 12, 10), ["x", "y"], "ünï")
    assert (contact.version, contact.deleted_at) == (1, None)
    assert contact.created_at == contact.updated_at


def test_a_file_with_only_a_header_has_no_rows(importer: Importer) -> None:
    assert importer.run(b"\xef\xbb\xbfname,shoe").model_dump(exclude_defaults=True) == {"ignored_columns": ["shoe"]}
    assert importer.checkpoint is None  # not even a step


def test_an_empty_name_is_made_of_the_given_and_family_name(importer: Importer) -> None:
    data = b"name,given_name,family_name\n,Ada,Lovelace\n  ,,Byron\nCountess,Ada,\n"
    assert importer.run(data).created == 3
    assert [contact.name for contact in importer.contacts()] == ["Ada Lovelace", "Byron", "Countess"]


def test_rows_are_created_in_the_order_of_the_file(importer: Importer) -> None:
    data = "name\n" + "".join(f"{number}\n" for number in range(2500))
    assert importer.run(data.encode()).created == 2500
    assert [contact.name for contact in importer.contacts()] == [str(number) for number in range(2500)]


def test_ignored_columns_are_named_once_each_and_at_most_a_hundred(importer: Importer) -> None:
    assert importer.run(b"name,b,a,b,\nx,,,,\n").ignored_columns == ["b", "a", ""]
    columns = ",".join(f"c{number}" for number in range(300))
    assert importer.run(f"name,{columns}\n".encode()).ignored_columns == [f"c{number}" for number in range(100)]


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        ("1,x,,no-mail,,", "mail", "is not an e-mail address"),
        ("1,x,,a@b,,", "mail", "is not an e-mail address"),
        ("1,x,,,19700101,", "born", "is not a date written YYYY-MM-DD"),
        ("1,x,,,2001-02-29,", "born", "is not a date written YYYY-MM-DD"),
        ("1,x,,,0999-01-01,", "born", "is before the year 1000"),
        ("1,x,,,,a;b", "labels", "is not a JSON list of texts"),
        ('1,x,,,,"{""a"": 1}"', "labels", "valid list"),
        ('1,x,,,,"[1]"', "labels", "valid string"),
        ("1,,,,,", "full", "is empty, and so are given_name and family_name"),
        ("1," + "x" * 256 + ",,,,", "full", "at most 255 characters"),
        ("1,a\x07b,,,,", "full", "holds a control character"),
        ("1,x,,,", "labels", "5 cells where the header has 6"),
        ("1,x,,,,,surplus", "column 7", "7 cells where the header has 6; too many: surplus"),
        ('1,x,,,,"open', "labels", "a quote is opened and not closed"),
    ],
)
def test_a_bad_row_is_rejected_with_line_column_and_reason_and_the_others_are_taken(
    importer: Importer, row: str, column: str, reason: str
) -> None:
    data = f"nr,full,url,mail,born,labels\n0,good,,,,\n{row}\n2,also good,,,,\n"
    mapping = {"full": "name", "mail": "email", "born": "birthday", "labels": "tags"}
    result = importer.run(data.encode(), mapping)
    assert (result.rows, result.created, result.rejected) == (3, 2, 1)
    (line,) = rejected(importer)
    assert (line["line"], line["column"]) == ("3", column)
    assert reason in line["reason"]
    assert line["nr"] == "1"


def test_all_faults_of_a_row_are_told_at_once(importer: Importer) -> None:
    importer.run(b"name,email,url\nx,no,ftp://x\n")
    (line,) = rejected(importer)
    assert (line["column"], line["reason"]) == (
        "email",
        "is not an e-mail address; url: is not an http or https address",
    )


def test_the_line_of_a_rejected_row_is_where_it_starts(importer: Importer) -> None:
    importer.run(b'name,notes,email\na,"two\nlines",\n\nb,"three\r\nmore\nlines",no\nc,,no\n')
    assert [(line["name"], line["line"]) for line in rejected(importer)] == [("b", "5"), ("c", "8")]


def test_rejected_rows_are_ready_to_be_mended_and_imported_again(importer: Importer) -> None:
    data = (
        'external_id,full,email,"odd ""col"",umn"\n'
        '1,"Quote ""me"", please",bad one,"keep\r\nme"\n'
        "2,Fine,ok@example.org,\n"
        "3,Ünï,worse,=1+1\n"
    )
    mapping = {"full": "name"}
    assert importer.run(data.encode(), mapping).rejected == 2
    assert importer.errors.startswith(b'external_id,full,email,"odd ""col"",umn",line,column,reason\r\n')
    mended = importer.errors.replace(b"bad one", b"good@example.org").replace(b"worse", b"better@example.org")
    result = importer.run(mended, mapping)
    assert (result.created, result.rejected) == (2, 0)
    assert result.ignored_columns == ['odd "col",umn', "line", "column", "reason"]
    assert {contact.name for contact in importer.contacts()} == {'Quote "me", please', "Fine", "Ünï"}


def test_the_notes_of_an_earlier_import_are_replaced_and_not_doubled(importer: Importer) -> None:
    importer.run(b"name,email\nx,no\n")
    first = importer.errors
    importer.run(first)
    assert importer.errors == first
    assert importer.errors.splitlines()[0] == b"name,email,line,column,reason"


def test_a_column_of_the_file_that_is_named_line_and_mapped_is_kept(importer: Importer) -> None:
    importer.run(b"name,line,email\nx,a note,no\n", {"line": "notes"})
    (line,) = rejected(importer)
    assert (line["line"], line["error_line"], line["column"]) == ("a note", "2", "email")


def test_damage_is_marked_in_the_rejected_rows(importer: Importer) -> None:
    importer.run(b"name\n" + b"x" * 70_000 + b"\nfr\xe9d\nn\0l\n", None)
    assert [line["name"] for line in rejected(importer)][1:] == ["fr\ufffdd", "n\ufffdl"]


def test_rejected_rows_stop_where_they_could_not_be_uploaded_again_but_are_still_counted(importer: Importer) -> None:
    data = b"email,name\n" + b"x\n" * 20_000
    result = importer.run(data, max_bytes=len(data))
    assert (result.rows, result.rejected) == (20_000, 20_000)
    assert 9 * len(data) < len(importer.errors) <= 10 * len(data)


def test_an_external_id_that_is_there_is_skipped_updated_or_rejected(importer: Importer, clock: SettableClock) -> None:
    importer.clock = clock
    importer.run(b"external_id,name,phone\n1,old,11\n2,same,22\n")
    clock.advance(60)
    data = b"external_id,name\n1,new\n2,same\n3,third\n"

    skipping = importer.run(data, on_conflict="skip")
    assert (skipping.created, skipping.skipped, skipping.updated, skipping.rejected) == (1, 2, 0, 0)
    assert importer.contacts()[0].name == "old"

    refusing = importer.run(data)
    assert (refusing.created, refusing.rejected) == (0, 3)
    assert [(line["line"], line["column"]) for line in rejected(importer)] == [
        ("2", "external_id"),
        ("3", "external_id"),
        ("4", "external_id"),
    ]

    updating = importer.run(data, on_conflict="update")
    assert (updating.created, updating.updated, updating.skipped) == (0, 1, 2)
    first, second, _ = importer.contacts()
    assert (first.name, first.phone, first.version, first.updated_at) == ("new", "11", 2, clock.now)
    assert (second.version, second.updated_at < clock.now) == (1, True)


def test_an_empty_cell_clears_a_mapped_field_and_unmapped_fields_stay(importer: Importer) -> None:
    importer.run(b'external_id,name,phone,email,tags,birthday\n1,Ada,11,a@b.de,"[""x""]",2000-01-01\n')
    result = importer.run(b"external_id,name,phone,tags,birthday\n1,Ada,,,\n", on_conflict="update")
    assert result.updated == 1
    (contact,) = importer.contacts()
    assert (contact.phone, contact.tags, contact.birthday, contact.email) == (None, [], None, "a@b.de")


def test_an_update_may_leave_the_name_alone_but_not_without_one(importer: Importer) -> None:
    importer.run(b"external_id,name,given_name\n1,Ada,A\n2,,Bob\n")
    assert importer.run(b"external_id,given_name\n1,\n", on_conflict="update").updated == 1
    result = importer.run(b"external_id,name,given_name\n1,,\n2,,Rob\n", on_conflict="update")
    assert (result.updated, result.rejected) == (1, 1)
    assert [contact.name for contact in importer.contacts()] == ["Ada", "Rob"]


def test_rows_without_an_external_id_always_create(importer: Importer) -> None:
    data = b"external_id,name\n,x\n ,x\n"
    assert importer.run(data, on_conflict="update").created == 2
    assert importer.run(data, on_conflict="skip").created == 2


@pytest.mark.parametrize(
    ("on_conflict", "counts", "name_and_version"),
    [
        ("skip", (1, 0, 2, 0), ("first", 1)),
        ("update", (1, 1, 1, 0), ("second", 2)),
        ("error", (1, 0, 0, 2), ("first", 1)),
    ],
)
@pytest.mark.parametrize("rows_between", [0, 1500])
def test_an_external_id_twice_in_one_file_is_a_conflict_of_the_second(
    importer: Importer, on_conflict: str, counts: tuple[int, ...], name_and_version: tuple[str, int], rows_between: int
) -> None:
    between = ",x\n" * rows_between
    data = f"external_id,name\n1,first\n{between}1,second\n1,{name_and_version[0]}\n".encode()
    result = importer.run(data, on_conflict=on_conflict)
    assert (result.created - rows_between, result.updated, result.skipped, result.rejected) == counts
    contact = next(contact for contact in importer.contacts() if contact.external_id)
    assert (contact.name, contact.version) == name_and_version


def test_external_ids_differ_by_case_accents_and_inner_space(importer: Importer) -> None:
    data = "external_id,name\na,1\nA,2\ná,3\na a,4\na  a,5\n".encode()
    assert importer.run(data).created == 5
    assert importer.run(data, on_conflict="skip").skipped == 5


def test_a_deleted_contact_is_no_conflict(importer: Importer) -> None:
    data = b"external_id,name\n1,x\n"
    importer.run(data)
    (contact,) = importer.contacts()
    with importer.database.write() as session:
        delete_contact(session, importer.owner_id, contact.id, now=contact.created_at)
    assert importer.run(data).created == 1


def test_another_owner_s_contact_is_no_conflict(new_importer: Callable[[], Importer]) -> None:
    data = b"external_id,name\n1,x\n"
    assert new_importer().run(data).created == 1
    assert new_importer().run(data).created == 1


@pytest.mark.parametrize("on_conflict", ["skip", "update", "error"])
def test_the_same_file_again_creates_nothing_and_changes_nothing(importer: Importer, on_conflict: str) -> None:
    data = b"external_id,name,given_name\n" + b"".join(b"%d,,n%d\n" % (n, n) for n in range(1200))
    importer.run(data)
    before = [(c.id, c.name, c.version, c.updated_at) for c in importer.contacts()]
    result = importer.run(data, on_conflict=on_conflict)
    assert (result.created, result.updated) == (0, 0)
    assert result.skipped + result.rejected == 1200
    assert [(c.id, c.name, c.version, c.updated_at) for c in importer.contacts()] == before


def test_ndjson_and_csv_of_the_same_contacts_give_the_same_contacts(new_importer: Callable[[], Importer]) -> None:
    by_csv, by_json = new_importer(), new_importer()
    by_csv.run(b'name,phone,tags,shoe\nAda,,"[""x""]",1\nBob,22,,\n')
    result = by_json.run(
        b'{"name": "Ada", "phone": null, "tags": ["x"], "shoe": 1}\n{"name": " Bob ", "phone": "22"}\n'
    )
    assert (result.created, result.ignored_columns) == (2, ["shoe"])
    fields = [[(c.name, c.phone, c.tags) for c in each.contacts()] for each in (by_csv, by_json)]
    assert fields[0] == fields[1] == [("Ada", None, ["x"]), ("Bob", "22", [])]


def test_an_absent_ndjson_key_leaves_its_field_alone_and_null_clears_it(importer: Importer) -> None:
    importer.run(b'{"external_id": "1", "name": "Ada", "phone": "1", "notes": "n", "tags": ["x"]}\n')
    update = b'{"external_id": "1", "phone": null, "tags": null, "name": "Ada"}\n'
    assert importer.run(update, on_conflict="update").updated == 1
    (contact,) = importer.contacts()
    assert (contact.phone, contact.tags, contact.notes) == (None, [], "n")


def test_bad_ndjson_records_are_rejected_as_csv_rows(importer: Importer) -> None:
    data = (
        b'{"name": "good"}\n{"name": 1, "tags": ["x"]}\n{"name": "x", "full": "y"}\n'
        b'{"name": "z", "notes": "late", "email": "no"}\n'
        b"nonsense\n"
    )
    result = importer.run(data)
    assert (result.rows, result.created, result.rejected) == (5, 2, 3)
    rows = rejected(importer)
    assert [(row["line"], row["column"]) for row in rows] == [("2", "name"), ("4", "email"), ("5", "")]
    assert (rows[0]["tags"], rows[1]["notes"]) == ('["x"]', "late")


def test_a_key_named_like_a_field_that_another_column_fills_is_ignored_in_later_records(importer: Importer) -> None:
    filler = b'{"full": "x"}\n' * 5000  # beyond the first part, where it would be a second column for the name
    result = importer.run(filler + b'{"full": "y", "name": "z"}\n', {"full": "name"})
    assert (result.created, result.ignored_columns) == (5001, ["name"])
    assert importer.contacts()[-1].name == "y"


def test_a_gzip_file_is_imported_with_progress_in_bytes_as_stored(importer: Importer) -> None:
    data = gzip.compress(b"name\n" + b"".join(b"%d\n" % n for n in range(2500)))
    assert importer.run(data).created == 2500
    assert importer.progress[-1] == (len(data), len(data), "bytes")
    done = [done for done, _, _ in importer.progress]
    assert done == sorted(done)


def test_progress_of_a_plain_file_is_where_each_chunk_ends(importer: Importer) -> None:
    data = b"name\n" + b"abcdefghi\n" * 2500
    importer.run(data)
    assert importer.progress == [(10_005, 25_005, "bytes"), (20_005, 25_005, "bytes"), (25_005, 25_005, "bytes")]


def test_a_damaged_gzip_file_fails_and_keeps_what_was_committed(importer: Importer) -> None:
    names = "".join(f"{secrets.token_hex(40)}\n" for _ in range(2500))
    data = gzip.compress(f"name\n{names}".encode())
    with pytest.raises(errors.DamagedGzip, match=r"behind line 2\d\d\d"):
        importer.run(data[: len(data) * 9 // 10])
    assert importer.checkpoint is not None
    assert len(importer.contacts()) == importer.checkpoint["result"]["created"] == 2000


def test_a_gzip_bomb_fails_at_ten_times_the_limit(importer: Importer) -> None:
    with pytest.raises(errors.ImportTooLarge):
        importer.run(gzip.compress(b"name\n" + b"\n" * 200_000), max_bytes=10_000)


def test_an_unfit_file_is_refused_before_the_first_step(importer: Importer) -> None:
    with pytest.raises(errors.NoNameColumn):
        importer.run(b"email\n")
    assert importer.checkpoint is None


def test_long_stretches_of_blank_lines_are_passed_in_steps(importer: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contacts.imports.reader.CHUNK_BYTES", 10_000)
    result = importer.run(b"name\n" + b"\n" * 25_000 + b"x\n")
    assert (result.rows, result.created) == (1, 1)
    assert len(importer.progress) == 3


def test_a_chunk_of_long_records_has_fewer_of_them(importer: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contacts.imports.reader.CHUNK_BYTES", 10_000)
    importer.run(b"name,notes\n" + (b"x," + b"y" * 4000 + b"\n") * 10)
    assert len(importer.progress) == 4


def test_a_contact_changed_by_hand_meanwhile_is_compared_as_it_is_now(importer: Importer) -> None:
    data = b"external_id,name\n1,x\n"
    importer.run(data)
    (contact,) = importer.contacts()
    with importer.database.write() as session:
        update_contact(session, importer.owner_id, contact.id, {"name": "y"}, now=contact.created_at)
    assert importer.run(data, on_conflict="update").updated == 1
    assert importer.contacts()[0].version == 3
