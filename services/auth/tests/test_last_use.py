"""Cursors of lists ordered by last use."""

from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import pytest
from auth_service.last_use import LastUse
from common.errors import FieldErrors
from common.jwt.encoding import encode_base64url
from hypothesis import given
from hypothesis import strategies as st


@given(st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)), st.uuids())  # noqa: DTZ001 - Hypothesis adds it
def test_a_place_reads_back_to_the_microsecond(at: datetime, session_id: UUID) -> None:
    cursor = LastUse(at, session_id).to_cursor()
    assert len(cursor) == 32
    assert LastUse.of_cursor(cursor) == LastUse(at, session_id)


GOOD = LastUse(datetime(2026, 3, 1, tzinfo=UTC), UUID(int=7)).to_cursor()


@pytest.mark.parametrize(
    "cursor",
    ["", "x", GOOD[:-1], GOOD + "A", GOOD + "=", GOOD[:-4], "\u00e9" * 32, encode_base64url(b"\xff" * 24), "AAAA" * 9],
)
def test_what_is_no_cursor_is_a_fault_of_the_field(cursor: str) -> None:
    with pytest.raises(FieldErrors) as caught:
        LastUse.of_cursor(cursor)
    assert [error.field for error in caught.value.errors] == ["cursor"]


@given(st.text(max_size=64))
def test_any_text_is_a_cursor_or_a_fault(cursor: str) -> None:
    with suppress(FieldErrors):
        assert LastUse.of_cursor(cursor).to_cursor() == cursor
