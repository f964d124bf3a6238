"""What the first part of a file decides: which column fills which field, or why nothing can be imported."""

import codecs
import gzip
import io
import json
from collections.abc import Callable

import pytest
from contacts import errors
from contacts.imports import check_first_bytes, parse_mapping, read_head, read_plan
from contacts.imports.mapping import HEAD_BYTES, MAX_COLUMNS, FileFormat


def test_columns_named_like_a_field_map_themselves_and_the_others_are_ignored() -> None:
    plan = read_plan(b"name,shoe_size,email\n", {})
    assert plan.file_format is FileFormat.CSV
    assert plan.targets == {"name": "name", "email": "email"}
    assert plan.ignored_columns == ("shoe_size",)


def test_a_mapped_column_fills_its_field_and_no_other() -> None:
    plan = read_plan(b"email,mail,who\n", {"mail": "email", "email": "notes", "who": "name"})
    assert plan.targets == {"email": "notes", "mail": "email", "who": "name"}


def test_a_column_mapped_to_null_is_ignored_though_it_is_named_like_a_field() -> None:
    plan = read_plan(b"name,full_name\n", {"full_name": "name", "name": None})
    assert plan.targets == {"full_name": "name"}
    assert plan.ignored_columns == ("name",)


def test_columns_of_an_export_that_are_no_fields_are_ignored() -> None:
    plan = read_plan(b"id,name,version,created_at,updated_at\n", {})
    assert plan.ignored_columns == ("id", "version", "created_at", "updated_at")


def test_a_byte_order_mark_and_spaces_are_no_part_of_a_column_name() -> None:
    plan = read_plan(codecs.BOM_UTF8 + b"name , email\n", {" email ": "notes"})
    assert plan.targets == {"name": "name", "email": "notes"}


@pytest.mark.parametrize("head", [b"", b"\n\r\n", codecs.BOM_UTF8, b"  \n", b"\n" * HEAD_BYTES])
def test_a_file_without_a_header_is_empty(head: bytes) -> None:
    with pytest.raises(errors.EmptyFile, match="empty"):
        read_plan(head, {})


@pytest.mark.parametrize(
    "head",
    [
        "name,email\nÄnne,x\n".encode("utf-16"),
        "name,email\n".encode("utf-16-be"),
        "name,email\n".encode("utf-16-le"),
    ],
)
def test_a_utf_16_file_is_named_as_such(head: bytes) -> None:
    with pytest.raises(errors.NotUTF8, match="UTF-16; save it as UTF-8"):
        read_plan(head, {})


def test_a_file_in_another_encoding_is_refused_with_the_byte_and_its_line() -> None:
    with pytest.raises(errors.NotUTF8, match="byte 0xC4 in line 2"):
        read_plan("name\nÄnne\n".encode("latin-1"), {})


def test_a_character_cut_by_the_end_of_the_first_part_is_no_fault() -> None:
    head = ("name\n" + "x" * (HEAD_BYTES - 6) + "Ä").encode()[:HEAD_BYTES]
    assert read_plan(head, {}).targets == {"name": "name"}
    with pytest.raises(errors.NotUTF8):
        read_plan("name\nÄ".encode()[:-1], {})


def test_an_unknown_target_field_is_refused_with_the_fields_there_are() -> None:
    with pytest.raises(errors.UnknownTargetField, match=r'"a" is mapped to "shoe".*external_id, name'):
        read_plan(b"a,name\n", {"a": "shoe"})
    with pytest.raises(errors.UnknownTargetField):
        read_plan(b"id,name\n", {"id": "id"})


def test_a_mapped_column_the_file_does_not_have_is_refused_with_those_it_has() -> None:
    with pytest.raises(errors.MappedColumnAbsent, match='"full_name"; the file has "name", "email"'):
        read_plan(b"name,email\n", {"full_name": "name"})


@pytest.mark.parametrize(
    ("head", "mapping"),
    [
        (b"a,b\n", {"a": "name", "b": "name"}),
        (b"full_name,name\n", {"full_name": "name"}),
        (b"name,name\n", {}),
        (b'{"name": "x", "full_name": "y"}\n', {"full_name": "name"}),
    ],
)
def test_two_columns_for_one_field_are_refused(head: bytes, mapping: dict[str, str | None]) -> None:
    with pytest.raises(errors.DuplicateTargetField, match="name is filled by more than one column") as refused:
        read_plan(head, mapping)
    remedy = "Give each a name of its own." if head == b"name,name\n" else "Map all but one of them to null."
    assert str(refused.value).endswith(remedy)


@pytest.mark.parametrize("head", [b"email,phone\n", b"name;email\n", b'{"email": "a@b.de"}\n'])
def test_a_file_without_any_name_is_refused_with_its_columns(head: bytes) -> None:
    with pytest.raises(errors.NoNameColumn, match="name, given_name or family_name; the file has"):
        read_plan(head, {})


@pytest.mark.parametrize("field", ["name", "given_name", "family_name"])
def test_one_part_of_a_name_is_enough(field: str) -> None:
    assert read_plan(b"x\n", {"x": field}).targets == {"x": field}


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b'name,"email\nx,y\n', "a quote is opened and not closed"),
        (b'name,"em"ail\nx,y\n', "text follows a closing quote"),
        (b"name,email\rx,y\r", "carriage return outside quotes"),
        (b"name,em\0ail\n", "NUL"),
        (b"name," + b"x" * HEAD_BYTES, "does not end within"),
    ],
)
def test_a_header_that_cannot_be_read_is_refused(head: bytes, reason: str) -> None:
    with pytest.raises(errors.MalformedHeader, match=reason):
        read_plan(head[:HEAD_BYTES], {})


def as_csv(columns: list[str]) -> bytes:
    return (",".join(columns) + "\n").encode()


def as_ndjson(columns: list[str]) -> bytes:
    return json.dumps(dict.fromkeys(columns)).encode()


@pytest.mark.parametrize("write", [as_csv, as_ndjson])
def test_a_file_of_too_many_columns_is_refused(write: Callable[[list[str]], bytes]) -> None:
    columns = ["name", *(f"c{number}" for number in range(MAX_COLUMNS))]
    assert "name" in read_plan(write(columns[:MAX_COLUMNS]), {}).targets
    with pytest.raises(errors.TooManyColumns, match="1001 columns; an import takes up to 1000"):
        read_plan(write(columns), {})


def test_ndjson_is_told_by_its_first_character_and_its_keys_are_columns() -> None:
    plan = read_plan(codecs.BOM_UTF8 + b'\n{"name": "x", "shoe": 1}\n{"email": "a@b.de"}\n', {})
    assert plan.file_format is FileFormat.NDJSON
    assert plan.targets["name"] == "name"
    assert plan.targets["notes"] == "notes"  # a later record may have it
    assert plan.columns[:3] == ("name", "shoe", "email")


def test_only_whole_lines_of_the_first_part_give_ndjson_columns() -> None:
    head = b'{"name": "x"}\n{"fake": "' + b"y" * HEAD_BYTES
    assert "fake" not in read_plan(head[:HEAD_BYTES], {}).columns
    with pytest.raises(errors.NotNDJSON, match="does not end within"):
        read_plan(b'{"name": "' + b"y" * HEAD_BYTES, {})


@pytest.mark.parametrize("head", [b'[{"name": "x"}]', b"[]", b"[\n{}", b'{\n "name": "x"\n}\n', b"{name: 1}\n"])
def test_json_that_is_not_one_object_a_line_is_refused(head: bytes) -> None:
    with pytest.raises(errors.NotNDJSON):
        read_plan(head, {})


@pytest.mark.parametrize("text", ["", "no", "[]", '"name"', '{"a": 1}', '{"a": ["name"]}', "{'a': 'name'}"])
def test_a_mapping_that_is_no_json_object_of_texts_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidMapping):
        parse_mapping(text)


def test_a_mapping_is_read_as_it_is_written() -> None:
    assert parse_mapping('{"Straße": "address", "x": null}') == {"Straße": "address", "x": None}
    with pytest.raises(errors.UnknownTargetField):
        parse_mapping('{"a": "nothing"}')


def test_every_refusal_has_a_code_of_its_own_and_one_error_entry() -> None:
    kinds = errors.ImportRefused.__subclasses__()
    assert len({kind.code for kind in kinds}) == len(kinds)
    (entry,) = errors.UnknownTargetField("why").errors
    assert (entry.field, entry.code, entry.message) == ("mapping", "unknown-target-field", "why")


def test_the_head_of_a_gzip_file_is_read_unpacked() -> None:
    packed = gzip.compress(b"name\n" + b"x" * 200_000)
    assert read_head(io.BytesIO(packed), HEAD_BYTES) == b"name\n" + b"x" * (HEAD_BYTES - 5)
    with pytest.raises(errors.DamagedGzip, match="at its start"):
        read_head(io.BytesIO(packed[:40]), HEAD_BYTES)


def test_the_first_bytes_of_an_upload_are_refused_before_the_rest_arrives() -> None:
    with pytest.raises(errors.NotUTF8):
        check_first_bytes("name\n".encode("utf-16"))
    with pytest.raises(errors.EmptyFile):
        check_first_bytes(b"")
    check_first_bytes(gzip.compress(b"")[:20])  # cannot be judged yet
