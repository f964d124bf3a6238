"""Cursors and pages."""

from uuid import UUID, uuid4

import pytest
from common.db.paging import LimitQuery, Page, decode_cursor, encode_cursor, split_page
from common.errors import FieldErrors
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import bindparam, select


@given(st.uuids())
def test_a_cursor_gives_its_id_back(last_id):
    assert decode_cursor(encode_cursor(last_id)) == last_id


@given(st.text(max_size=21) | st.text(min_size=23))
def test_any_other_text_is_refused_naming_the_field(cursor):
    with pytest.raises(FieldErrors) as refusal:
        decode_cursor(cursor)
    assert [error.field for error in refusal.value.errors] == ["cursor"]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "a",
        str(UUID(int=0)),
        encode_cursor(UUID(int=0)) + "==",
        encode_cursor(UUID(int=0))[:-1] + "B",  # the same bytes, written with other spare bits
        encode_cursor(UUID(int=0)) + "AAAA",
        "\N{SNOWMAN}" * 22,
        "++++++++++++++++++++++",
    ],
)
def test_what_looks_like_a_cursor_but_is_none_of_ours_is_refused(cursor):
    with pytest.raises(FieldErrors):
        decode_cursor(cursor)


def test_the_query_defaults_to_twenty_from_the_start():
    query = LimitQuery()
    assert query.limit == 20
    assert query.after is None


def test_the_query_reads_texts_as_they_come_in_a_url():
    cursor = encode_cursor(UUID(int=7))
    query = LimitQuery.model_validate({"limit": "100", "cursor": cursor})
    assert query.limit == 100
    assert query.after == UUID(int=7)


@pytest.mark.parametrize("given", [{"limit": "0"}, {"limit": "101"}, {"limit": "ten"}, {"limit": ""}, {"page": "2"}])
def test_the_query_refuses_limits_out_of_range_and_unknown_names(given):
    with pytest.raises(ValidationError):
        LimitQuery.model_validate(given)


def test_one_row_more_than_the_limit_means_that_a_page_follows():
    ids = [uuid4() for _ in range(3)]
    assert split_page(ids, 2, lambda row: row) == (ids[:2], ids[1])
    assert split_page(ids, 3, lambda row: row) == (ids, None)
    assert split_page([], 3, lambda row: row) == ([], None)


def test_a_page_is_written_as_the_interface_says():
    assert Page[int](items=[1, 2], next_cursor=None).model_dump_json() == '{"items":[1,2],"next_cursor":null}'


def test_pages_show_every_row_once_while_others_come_and_go(library):
    ids = sorted(library.add(f"author {number:02}") for number in range(25))
    page_of = select(library.Author.id).where(library.Author.id > bindparam("after")).order_by(library.Author.id)
    seen, after = [], UUID(int=0)
    while after is not None:
        with library.database.read() as session:
            items, after = split_page(session.scalars(page_of.limit(11), {"after": after}).all(), 10, lambda row: row)
        seen += items
        if len(seen) == 10:
            with library.database.write() as session:
                session.delete(session.get(library.Author, ids[0]))
                session.add(library.Author(id=UUID(int=1), name="behind the cursor"))
                session.commit()
    assert seen == ids
